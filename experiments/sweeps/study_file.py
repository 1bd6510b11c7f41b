"""The file of a sweep's study: Optuna's data base, written whole or not at all."""

from __future__ import annotations

import functools
import sqlite3

import optuna
import sqlalchemy

from experiments import config as configs
from experiments.files import replacing


def storage(path):
    """Optuna's data base in a file, of any name: in a URL, some have to be quoted."""
    connect = functools.partial(sqlite3.connect, path, check_same_thread=False)
    options = {"creator": connect, "poolclass": sqlalchemy.pool.NullPool}
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs=options)


def write(path, direction, user_attrs, trials=()):
    """Writes a study, which replaces the one that is there."""
    with replacing(path) as temporary:
        opened = storage(temporary)
        study = optuna.create_study(
            storage=opened, study_name="sweep", direction=direction
        )
        for name, value in user_attrs.items():
            study.set_user_attr(name, value)
        study.add_trials(trials)
        opened.engine.dispose()


def rename(path, study, protocol):
    """Writes a study of an older version again, with today's keys in its trials."""

    def today(values):
        return {configs.renamed(key): x for key, x in values.items()}

    trials = study.get_trials()
    for trial in trials:
        distributions = today(trial.distributions)
        trial.params, trial.distributions = today(trial.params), distributions
    study._storage.remove_session()
    user_attrs = study.user_attrs | {"protocol": protocol}
    write(path, study.direction, user_attrs, trials)
