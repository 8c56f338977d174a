"""A grammar of networks: random ones are built from its steps and checked by an oracle.

`net` holds what a network is made of, `ledger` counts the groups that it must have by
construction; the other files hold the steps, one family each.
"""
