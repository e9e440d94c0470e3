"""The tasks by name, and a task as a field of saved records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from regraft.records import TaskName
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.tasks.task import Task

TASKS: dict[TaskName, type[Classification] | type[Multilabel] | type[Regression]] = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
}

SavedTask = Annotated[Classification | Multilabel | Regression, Field(discriminator="name")]
"""A task as a field of a record: validated when it is read, and told apart by its name."""


def task_of(name: TaskName, labels: list[str]) -> Task:
    """The task of a data set, from the canonical labels of all its images.

    Raises:
        DataError: nothing can be learned from these labels.

    >>> task_of("multilabel", ["a|b", "b", ""]).outputs
    ('a', 'b')
    """
    return TASKS[name].of(labels)
