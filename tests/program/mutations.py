"""Ways in which a `.pt2` can be wrong or hostile, each with the words that refuse it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.program.exported_files import CONSTANTS, MODEL, SAMPLES, WEIGHTS, Parts

Change = Callable[[Parts], None]
MUTATIONS: dict[str, tuple[Change, str]] = {}


def mutation(name: str, message: str) -> Callable[[Change], Change]:
    """Enter one change of the valid file, with a part of the message that refuses it."""

    def enter(change: Change) -> Change:
        assert name not in MUTATIONS
        MUTATIONS[name] = (change, message)
        return change

    return enter


def target(name: str, old: str, new: str, message: str) -> None:
    """Enter the change that a node calls something else."""

    @mutation(name, message)
    def _(parts: Parts) -> None:
        parts.node(old)["target"] = new


def member(name: str, path: str, data: bytes | None, message: str) -> None:
    """Enter the change of one member of the zip; None takes it away."""

    @mutation(name, message)
    def _(parts: Parts) -> None:
        if data is None:
            del parts.members[path]
        else:
            parts.members[path] = data


def weight(name: str, field: str, value: Any, message: str, tensor: str = "leave.bias") -> None:
    """Enter the change of one field of one weight's description."""

    @mutation(name, message)
    def _(parts: Parts) -> None:
        parts.tensor(tensor)[field] = value


def ints(*values: int) -> list[dict[str, int]]:
    return [{"as_int": value} for value in values]


# --- what a graph may call -------------------------------------------------------------------

target("unknown op", "tanh", "torch.ops.aten.no_such.default", r"aten\.no_such\.default', which")
target("file op", "tanh", "torch.ops.aten.from_file.default", r"from_file.*not among the ATen")
target("custom op", "tanh", "torch.ops.basinscope_test.strike.default", "strike.*no ATen")
target("builtin", "tanh", "builtins.eval", r"'builtins\.eval', which is no ATen")
target("torch function", "tanh", "torch.load", r"'torch\.load', which is no ATen")
target("symbolic power", "sym_size", "_operator.pow", r"'_operator\.pow', which is no ATen")
target("dunder", "tanh", "torch.ops.aten.__class__.default", "__class__.*not among")
target("out overload", "tanh", "torch.ops.aten.tanh.out", r"aten\.tanh\.out', which is not among")
target("unknown overload", "tanh", "torch.ops.aten.tanh.nope", r"aten\.tanh\.nope, which this")
target("random op", "tanh", "torch.ops.aten.randn_like.default", "randn_like: it draws")
target("data-dependent op", "tanh", "torch.ops.aten.nonzero.default", "nonzero: what it computes")
target("item", "tanh", "torch.ops.aten.item.default", "aten.item: what it computes")
target("unwritten memory", "tanh", "torch.ops.aten.empty_like.default", "memory that nobody")
target("control flow", "tanh", "torch.ops.higher_order.cond", "control flow with graphs of its own")
target(
    "gradient region",
    "tanh",
    "torch.ops.higher_order.wrap_with_set_grad_enabled",
    r"region of its own \(torch\.no_grad",
)


# --- arguments and results -------------------------------------------------------------------


@mutation("subgraph argument", "is a graph of its own")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"] = {"as_graph": {"name": "g", "graph": {}}}


@mutation("custom object", "an object of a custom class")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"] = {"as_custom_obj": {"name": "o", "class_fqn": "a.B"}}


@mutation("unknown kind of argument", "of the unknown kind 'as_pickle'")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"] = {"as_pickle": "gASVKAAAAA"}


@mutation("text for a tensor", r"node tanh \(aten\.tanh\.default\) cannot be computed: aten::")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"] = {"as_string": "x"}


@mutation("number as text", r"inputs\[1\]\.arg\.as_int is '2', not a whole number")
def _(parts: Parts) -> None:
    parts.node("chunk")["inputs"][1]["arg"] = {"as_int": "2"}


@mutation("number of 70 bits", "not a whole number of 64 bits$")
def _(parts: Parts) -> None:
    parts.node("chunk")["inputs"][1]["arg"] = {"as_int": 1 << 70}


@mutation("unknown argument", "the argument 'sideways', which it does not take")
def _(parts: Parts) -> None:
    parts.node("chunk")["inputs"][1]["name"] = "sideways"


@mutation("argument twice", "gives one argument twice")
def _(parts: Parts) -> None:
    parts.node("chunk")["inputs"].append(parts.node("chunk")["inputs"][0])


@mutation("missing argument", "missing value for argument 'chunks'")
def _(parts: Parts) -> None:
    del parts.node("chunk")["inputs"][1]


@mutation("too few results", "its node chunk has other results than aten.chunk.default")
def _(parts: Parts) -> None:
    parts.node("chunk")["outputs"][0]["as_tensors"].append({"name": "third"})


@mutation("memory format", "memory format code 77")
def _(parts: Parts) -> None:
    clone = {"name": "memory_format", "arg": {"as_memory_format": 77}, "kind": 2}
    parts.node("tanh")["inputs"].append(clone)


@mutation("device", "the device 'fpga', which is not known")
def _(parts: Parts) -> None:
    arg = {"as_device": {"type": "fpga", "index": None}}
    parts.node("tanh")["inputs"].append({"name": "device", "arg": arg, "kind": 2})


# --- the order of the graph ------------------------------------------------------------------


@mutation("use before definition", "reads 'linear_1', before it is computed")
def _(parts: Parts) -> None:
    nodes = parts.graph["nodes"]
    nodes.append(nodes.pop(nodes.index(parts.node("linear")) + 9))


@mutation("cycle", "its node tanh reads 'tanh', before it is computed")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"]["as_tensor"]["name"] = "tanh"


@mutation("nothing computes it", "reads 'ghost', which nothing computes")
def _(parts: Parts) -> None:
    parts.node("tanh")["inputs"][0]["arg"]["as_tensor"]["name"] = "ghost"


@mutation("name twice", "gives the name 'cat' twice")
def _(parts: Parts) -> None:
    parts.node("tanh")["outputs"][0]["as_tensor"]["name"] = "cat"


@mutation("code as a name", r"uses .x\): print\('run'\).n#. as a name")
def _(parts: Parts) -> None:
    parts.node("tanh")["outputs"][0]["as_tensor"]["name"] = "x): print('run')\n#"


@mutation("code as an input", r"uses 'x=print\(1\)' as a name")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["x=print(1)"] = parts.graph["tensor_values"].pop("x")
    parts.graph["inputs"][-1]["as_tensor"]["name"] = "x=print(1)"
    parts.signature["input_specs"][-1]["user_input"]["arg"]["as_tensor"]["name"] = "x=print(1)"


@mutation("input of a reserved name", "its input 'self' has a name with another meaning")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["self"] = parts.graph["tensor_values"].pop("x")
    parts.graph["inputs"][-1]["as_tensor"]["name"] = "self"
    parts.signature["input_specs"][-1]["user_input"]["arg"]["as_tensor"]["name"] = "self"


@mutation("a node's name in several lines", r"uses 'tanh.nrun me' as a name")
def _(parts: Parts) -> None:
    parts.node("tanh")["name"] = "tanh\nrun me"


@mutation("one tensor under two names", "its graph takes 'enter.weight' under two names")
def _(parts: Parts) -> None:
    parts.signature["input_specs"][1]["parameter"]["parameter_name"] = "enter.weight"


@mutation("weight and constant", "holds 'leave.bias' as a weight and as a constant")
def _(parts: Parts) -> None:
    config = parts.constants["config"]
    config["leave.bias"] = config["lifted_tensor_0"]


@mutation("no output", r"its output 'ghost' is not computed")
def _(parts: Parts) -> None:
    parts.graph["outputs"][0]["as_tensor"]["name"] = "ghost"


@mutation("nothing returned", "its graph returns nothing")
def _(parts: Parts) -> None:
    parts.graph["outputs"].clear()


@mutation("too many nodes", "60,000 nodes, more than the limit of 50,000")
def _(parts: Parts) -> None:
    parts.graph["nodes"] = [{}] * 60_000


@mutation("other inputs", "inputs of its graph are not those of its signature")
def _(parts: Parts) -> None:
    parts.graph["inputs"].pop()


# --- what a graph takes, returns and writes --------------------------------------------------


@mutation("writes to a buffer", r"its graph writes to 'norm\.running_mean'")
def _(parts: Parts) -> None:
    change = {"arg": {"name": "tanh"}, "buffer_name": "norm.running_mean"}
    parts.signature["output_specs"].insert(0, {"buffer_mutation": change})


@mutation("writes to an input", "its graph writes to 'x'")
def _(parts: Parts) -> None:
    change = {"arg": {"name": "tanh"}, "user_input_name": "x"}
    parts.signature["output_specs"].insert(0, {"user_input_mutation": change})


@mutation("writes to a weight in a node", "the forward writes to leave.bias in eval mode")
def _(parts: Parts) -> None:
    node = parts.node("tanh")
    node["target"] = "torch.ops.aten.relu_.default"
    extra = json.loads(json.dumps(node))
    extra["inputs"][0]["arg"]["as_tensor"]["name"] = "p_leave_bias"
    extra["outputs"][0]["as_tensor"]["name"] = extra["name"] = "extra"
    parts.graph["nodes"].insert(0, extra)


@mutation("a loss", "its graph returns a 'loss_output'")
def _(parts: Parts) -> None:
    parts.signature["output_specs"] = [{"loss_output": {"arg": {"name": "tanh"}}}]


@mutation("a token", "takes a 'token' as input")
def _(parts: Parts) -> None:
    parts.signature["input_specs"].append({"token": {"arg": {"name": "t"}}})


@mutation("no input", "its graph takes no tensor as input")
def _(parts: Parts) -> None:
    value = {"constant_input": {"name": "x", "value": {"as_none": True}}}
    parts.signature["input_specs"][-1] = value
    parts.graph["inputs"][-1] = {"as_none": True}


@mutation("a number as input", "is no tensor; only tensors can be inputs")
def _(parts: Parts) -> None:
    arg = {"as_sym_int": {"as_name": "n"}}
    parts.signature["input_specs"][-1] = {"user_input": {"arg": arg}}


@mutation("weight that is not there", "reads the parameter 'ghost.weight', which is not there")
def _(parts: Parts) -> None:
    parts.signature["input_specs"][0]["parameter"]["parameter_name"] = "ghost.weight"


@mutation("static batch", r"batch is fixed at 2 samples \(input x\); export it with a batch of any")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["x"]["sizes"][0] = {"as_int": 2}


@mutation("batch fixed inside", r"cannot be computed.*shape '\[2, 2, 4\]' is invalid")
def _(parts: Parts) -> None:
    parts.node("view")["inputs"][1]["arg"]["as_sym_ints"][0] = {"as_int": 2}


@mutation("negative input", "is the negative size -6")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["x"]["sizes"][1] = {"as_int": -6}


@mutation("unbacked input", "is a size that depends on values in the data")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["x"]["sizes"][1] = {"as_expr": {"expr_str": "Symbol('u0')"}}


@mutation("another input shape", r"node linear .* cannot be computed.*\[2, 7\]")
def _(parts: Parts) -> None:
    parts.graph["tensor_values"]["x"]["sizes"][1] = {"as_int": 7}


@mutation("samples mixed", "depend on the other samples of its batch")
def _(parts: Parts) -> None:
    node = parts.node("tanh")
    node["target"] = "torch.ops.aten.flip.default"
    node["inputs"].append({"name": "dims", "arg": {"as_ints": [0]}, "kind": 1})


# --- sizes -----------------------------------------------------------------------------------


@mutation("huge value", "makes a value of .*bytes, more than the limit of 2,147,483,648")
def _(parts: Parts) -> None:
    node = parts.node("tanh")
    node["target"] = "torch.ops.aten.repeat.default"
    sizes = {"name": "repeats", "arg": {"as_ints": [1 << 40, 1]}, "kind": 1}
    node["inputs"].append(sizes)


@mutation("huge number", "its node n5 makes a number of 65 bits")
def _(parts: Parts) -> None:
    nodes = [_product("n0", 2, 2)]
    nodes += [_product(f"n{i}", f"n{i - 1}", f"n{i - 1}") for i in range(1, 9)]
    parts.graph["nodes"][:0] = nodes


def _product(name: str, left: str | int, right: str | int) -> dict[str, Any]:
    def number(value: str | int) -> dict[str, Any]:
        kind = "as_name" if isinstance(value, str) else "as_int"
        return {"as_sym_int": {kind: value}}

    sides = (("a", left), ("b", right))
    return {
        "target": "_operator.mul",
        "name": name,
        "inputs": [{"name": n, "arg": number(value), "kind": 1} for n, value in sides],
        "outputs": [{"as_sym_int": {"as_name": name}}],
        "metadata": {},
    }


# --- weights ---------------------------------------------------------------------------------

weight("wrong dtype code", "dtype", 99, "tensor 'leave.bias' has the dtype code 99")
weight("complex weight", "dtype", 10, "has dtype torch.complex64; only")
weight("dtype too wide", "dtype", 8, "shows 24 bytes of a storage that holds 12")
weight("sparse", "layout", 1, "is not dense")
weight("larger than its bytes", "sizes", ints(1 << 40), "shows 4,398,046,511,104 bytes")
weight("negative size", "sizes", ints(-3), r"the shape \[-3\], which is no list of sizes")
weight("strides out of bounds", "strides", ints(5), "reaches byte 44 of a payload of 12")
weight("offset out of bounds", "storage_offset", {"as_int": 2}, "reaches byte 20 of a payload")
weight("negative offset", "storage_offset", {"as_int": -1}, "has malformed strides")
weight("symbolic size", "sizes", [{"as_expr": {"expr_str": "s0"}}], "is no fixed size")
weight("wrong shape", "sizes", ints(2), r"cannot be computed.*\[2\]")
weight("unknown field", "allocator", "evil", "unknown field 'allocator'")


@mutation("pickled weight", "tensor 'leave.bias' is pickled, which could run code")
def _(parts: Parts) -> None:
    parts.weights["config"]["leave.bias"]["use_pickle"] = True


@mutation("payload outside its folder", r"lies in '\.\./sample_inputs/model\.pt', which is no")
def _(parts: Parts) -> None:
    parts.weights["config"]["leave.bias"]["path_name"] = "../sample_inputs/model.pt"


@mutation("payload of nobody", "weight_77' belongs to no tensor")
def _(parts: Parts) -> None:
    parts.members["archive/data/weights/weight_77"] = b"\0" * 64


@mutation("name with control characters", "holds control characters")
def _(parts: Parts) -> None:
    parts.weights["config"]["leave\u202ebias"] = parts.weights["config"].pop("leave.bias")


@mutation("no weights", "holds a graph, but no weights")
def _(parts: Parts) -> None:
    parts.weights["config"].clear()
    for name in [name for name in parts.members if "/weight_" in name]:
        del parts.members[name]


# --- the archive and its JSON ----------------------------------------------------------------

member("path escape", "archive/../../etc/cron", b"", "path that leads out of the archive")
member("extra file", "archive/data/notes.txt", b"", r"'data/notes\.txt', which belongs to no expor")
member("library", "archive/data/aotinductor/model/x.so", b"", "compiled code")
member("custom class", "archive/data/constants/custom_obj_0", b"", "pickled objects of custom")
member("old pickled weights", "archive/data/weights/model.pt", b"", "pickled, as torch before 2.9")
member("two models", "archive/models/other.json", b"{}", "holds 2 models")
member("no model", MODEL, None, "holds 0 models")
member("no list of weights", WEIGHTS, None, r"it lacks data/weights/model_weights_config\.json")
member("no list of constants", CONSTANTS, None, r"it lacks data/constants/model_constants_c")
member("another format", "archive/archive_format", b"pt3", "its archive_format is 'pt3', not 'pt2'")
member("another version", "archive/archive_version", b"1", "its archive_version is '1', not '0'")
member("big-endian", "archive/byteorder", b"big", "its byteorder is 'big', not 'little'")
member("second root", "other/models/model.json", b"{}", "more than one folder at the top")
member("no UTF-8", MODEL, b'{"a": "\xff"}', "no text in UTF-8")
member("no JSON", MODEL, b"{'a': 1}", "no valid JSON")
member("NaN in JSON", MODEL, b'{"a": NaN}', "NaN is no JSON")
member("key twice", MODEL, b'{"a": 1, "a": 2}', "the key 'a' occurs twice")
member("depth bomb", MODEL, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deeper than 64")
member("a list", MODEL, b"[]", "its model.json is a list, not an object")
member("empty object", MODEL, b"{}", "lacks the field 'schema_version'")
member("long number", MODEL, b'{"a": ' + b"9" * 5000 + b"}", "no valid JSON .*digit")


@mutation("newer schema", r"a newer torch \(schema 8\.99, torch '2\.31\.0'\).*save it with")
def _(parts: Parts) -> None:
    parts.model["schema_version"] = {"major": 8, "minor": 99}
    parts.model["torch_version"] = "2.31.0"


@mutation("newer major schema", r"newer torch \(schema 9\.0")
def _(parts: Parts) -> None:
    parts.model["schema_version"] = {"major": 9, "minor": 0}


@mutation("older schema", r"older torch \(schema 7\.3")
def _(parts: Parts) -> None:
    parts.model["schema_version"] = {"major": 7, "minor": 3}


@mutation("samples in the place of weights", "shows 12 bytes of a storage that holds 0")
def _(parts: Parts) -> None:
    path = parts.weights["config"]["leave.bias"]["path_name"]
    parts.members[f"archive/data/weights/{path}"] = b""


assert SAMPLES
