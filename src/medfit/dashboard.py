"""``medfit dashboard``: Optuna's pages, bound to this machine, opened at the latest study."""

from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from omegaconf import DictConfig
from optuna.storages import RDBStorage

from medfit.errors import UserError
from medfit.study.storage import open_storage
from medfit.terminal.console import say
from medfit.terminal.serving import HOST, free_port, open_page, own_pages_only


def main(cfg: DictConfig) -> None:
    """Serves the studies until Ctrl-C; says the link, and opens it where there is a display."""
    from optuna_dashboard import wsgi  # late: a quick start

    studies = open_storage(cfg)
    path = page(studies, cfg)
    port = free_port(cfg.tracking.ui_port)
    # in this process: a storage's address may hold a password, which a command line would show to every user here
    with make_server(HOST, port, own_pages_only(wsgi(studies), port), _Server, _Handler) as server:
        open_page(f"http://{HOST}:{port}{path}")
        say("Ctrl-C ends it.")
        server.serve_forever()


def page(studies: RDBStorage, cfg: DictConfig) -> str:
    """Returns the path of the page of the experiment's latest study (of the latest of all if none is named).

    Raises:
        UserError: there is no study yet.
    """
    names = [name for name in optuna.get_all_study_names(studies) if _belongs(name, cfg)]
    if not names:
        experiment = f" experiment={cfg.experiment}" if cfg.experiment else ""
        raise UserError(f"there is no study to show yet; medfit sweep{experiment} starts one")
    return f"/dashboard/studies/{max(studies.get_study_id_from_name(name) for name in names)}"


def _belongs(name: str, cfg: DictConfig) -> bool:
    """Tells whether a study is of the named experiment: its name begins with that, unless it was chosen."""
    if cfg.sweep.name:
        return bool(name == cfg.sweep.name)
    return not cfg.experiment or name.partition(" ")[0] == cfg.experiment


class _Server(ThreadingMixIn, WSGIServer):
    """Answers side by side: a browser keeps connections open that would hold up the next one, and the end."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Does not tell each request on the terminal."""

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""
