from __future__ import annotations

import numpy as np
import torch

from engine.studies.question import answers, asked, question_of

MODEL = {"w": torch.arange(4.0), "b": torch.zeros(2, dtype=torch.float16)}


def test_a_question_is_that_of_its_texts_and_of_every_number_and_shape():
    asked_first = question_of("one", MODEL, "two")
    assert question_of("one", dict(reversed(list(MODEL.items()))), "two") == asked_first
    others = (
        question_of("on", MODEL, "etwo"),
        question_of("one", MODEL),
        question_of("one", MODEL | {"w": torch.tensor([0.0, 1, 2, 4])}, "two"),
        question_of("one", MODEL | {"w": torch.arange(4.0).view(2, 2)}, "two"),
        question_of("one", MODEL | {"b": torch.zeros(2, dtype=torch.bfloat16)}, "two"),
        question_of("one", MODEL | {"c": MODEL["b"]}, "two"),
    )
    assert len({asked_first, *others}) == 1 + len(others)


def test_what_is_kept_answers_its_own_question_alone():
    kept = asked({"values": np.arange(3)}, "q")
    assert answers(kept, "q")
    assert not answers(kept, "r")
    assert not answers({"values": np.arange(3)}, "q")
    assert not answers(None, "q")
