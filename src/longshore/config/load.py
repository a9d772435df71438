"""``load_config``: from a folder to a ``WorkerConfig``. The one module here that reads files."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.document import Document, decode_text, parse_document
from longshore.config.dotenv import parse_dotenv
from longshore.config.errors import ConfigError, Problem
from longshore.config.main_file import DEFAULT_FILES, normal_path
from longshore.config.merge import choose_environment, merge
from longshore.config.model import Notice, WorkerConfig
from longshore.config.positions import Positions
from longshore.config.report import Report
from longshore.config.resolve import Surroundings, resolve
from longshore.config.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.config.dotenv import DotenvValue
    from longshore.config.positions import KeyPath
    from longshore.config.secrets import StoredSecret

__all__ = ["CONFIG_FILES", "Overrides", "find_config", "load_config"]

CONFIG_FILES: Final = ("longshore.toml", "wrangler.toml", "wrangler.jsonc", "wrangler.json")
"""What a configuration file is called; in one folder the first of these wins."""

ENVIRONMENT_VARIABLE: Final = "CLOUDFLARE_ENV"
"""Names the environment when the command line does not; wrangler reads it too."""

# As dotenv-expand has it, `$NAME` and `${NAME}`.
_REFERENCE: Final = re.compile(r"\$\{?[A-Za-z_]")
# 1 MiB: a file that is larger is no configuration.
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a command line says, which goes before the file."""

    isolation: str | None = None
    """``"auto"``, ``"required"`` or ``"off"``."""
    main: str | None = None
    """The main module, relative to the folder where the command runs."""
    vars: Mapping[str, str] = field(default_factory=dict)
    """Variables for ``env``."""
    env_files: tuple[Path, ...] = ()
    """Files to read instead of ``.dev.vars`` and ``.env``, by ``serve`` too; a later one goes before an earlier one."""


def load_config(
    path: Path | None = None,
    *,
    cwd: Path,
    environment: str | None = None,
    is_dev: bool,
    variables: Mapping[str, str],
    overrides: Overrides | None = None,
    stored: StoredSecret | None = None,
) -> WorkerConfig:
    """Find, read, check and resolve the configuration of a worker.

    Args:
        path: the configuration file, or its folder; None looks for it in ``cwd`` and the folders above.
        cwd: the folder where the command runs.
        environment: the ``env.<name>`` section to use.
        is_dev: whether this is for ``longshore dev``, which reads ``.dev.vars`` and takes ``env.dev``.
        variables: the environment of this process.
        overrides: what the command line says.
        stored: asks the credential store for a secret; raises ``ValueError`` for one that cannot be used.

    Raises:
        ConfigError: with everything that is wrong.
    """
    loader = _Loader(normal_path(cwd.absolute()), variables, overrides or Overrides(), is_dev=is_dev, stored=stored)
    return loader.load(path, environment)


def find_config(cwd: Path, home: Path | None = None) -> tuple[Path, ...]:
    """Return the configuration files of the nearest folder that has any, the one to use first.

    Looks in ``cwd`` and upwards, no further than the root of a repository or ``home``.
    """
    for folder in (cwd, *cwd.parents):
        found = _candidates(folder)
        if found or folder == home or (folder / ".git").exists():
            return found
    return ()


class _Loader:
    def __init__(
        self,
        cwd: Path,
        variables: Mapping[str, str],
        overrides: Overrides,
        *,
        is_dev: bool,
        stored: StoredSecret | None,
    ) -> None:
        self.cwd = cwd
        self.variables = variables
        self.overrides = overrides
        self.is_dev = is_dev
        self.stored = stored
        # What is known before the file is, and so is no part of its report.
        self.notices: list[Notice] = []

    def load(self, path: Path | None, environment: str | None) -> WorkerConfig:
        file = self.find(path)
        document = self.parse(file)
        findings = validate(document)
        report = Report(document)
        report.problems += [problem for _, problem in findings]
        _raise_when_hopeless(findings)
        usable, broken = _without_broken(document, [path for path, _ in findings])
        try:
            config = self.resolve(usable, file, environment, report, broken)
        except ConfigError as error:
            raise ConfigError([*report.problems, *error.problems]) from error
        if config is None:
            raise ConfigError(report.problems)
        if self.overrides.isolation is not None:
            sandbox = msgspec.structs.replace(config.sandbox, isolation=self.overrides.isolation)
            config = msgspec.structs.replace(config, sandbox=sandbox)
        notices = sorted(report.notices, key=lambda notice: notice.line or 0)
        return msgspec.structs.replace(config, notices=(*self.notices, *notices))

    def resolve(
        self, document: Document, file: Path | None, environment: str | None, report: Report, broken: frozenset[str]
    ) -> WorkerConfig | None:
        asked = environment or self.variables.get(ENVIRONMENT_VARIABLE) or None
        source = "" if environment else f" (from {ENVIRONMENT_VARIABLE})"
        chosen = choose_environment(document, asked, is_dev=self.is_dev, source=source)
        if chosen is not None and asked is None:
            report.notice(("env", chosen), "is in force: this is 'longshore dev', and no environment was named")
        folder = file.parent if file else self.project_without_file()
        if folder == _home(self.variables):
            message = "is your home folder, and a worker may read its whole project: give it a folder of its own"
            self.notices.append(Notice(key_path=str(folder), message=message))
        around = Surroundings(
            project_dir=folder,
            cwd=self.cwd,
            is_dev=self.is_dev,
            is_file=Path.is_file,
            file=file,
            main=self.overrides.main,
            vars=self.overrides.vars,
            dotenv=self.dotenv(folder, chosen, report),
            variables=self.variables,
            stored=self.stored,
        )
        return resolve(merge(document, chosen, report), around, report, broken=broken)

    def find(self, path: Path | None) -> Path | None:
        """Return the absolute path of the file; None when there is none and none is needed."""
        if path is None:
            found = find_config(self.cwd, _home(self.variables))
        else:
            path = normal_path(self.cwd / path)
            found = _candidates(path) if path.is_dir() else (path,)
        if not found and self.overrides.main is not None:
            return None
        if not found:
            raise ConfigError([self.none_found(path)])
        if len(found) > 1:
            others = ", ".join(each.name for each in found[1:])
            self.notices.append(Notice(key_path=found[0].name, message=f"is used, {others} beside it is not read"))
        return found[0]

    def none_found(self, folder: Path | None) -> Problem:
        names = f"{', '.join(CONFIG_FILES[:-1])} or {CONFIG_FILES[-1]}"
        where = f"in {str(folder)!r}" if folder else f"in {str(self.cwd)!r} or a folder above it"
        entry = next((name for name in DEFAULT_FILES if (self.cwd / name).is_file()), None)
        hint = f"name the main module, like 'longshore dev {entry or 'app.py'}'"
        if entry is None:
            hint = f"make a project with 'longshore init my-worker', or {hint}"
        return Problem(message=f"no {names} {where}", hint=hint)

    def parse(self, file: Path | None) -> Document:
        if file is None:
            return Document("", (), {}, Positions())
        name = self.shown(file)
        if file.suffix not in {".toml", ".json", ".jsonc"}:
            hint = f"a configuration file is called like {', '.join(CONFIG_FILES)}"
            raise ConfigError([Problem(message=f"the file {name!r} is neither TOML nor JSON", hint=hint)])
        return parse_document(self.read(file), name)

    def read(self, file: Path) -> str:
        name = self.shown(file)
        try:
            with file.open("rb") as stream:
                data = stream.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ConfigError([Problem(message=f"cannot be read: {error.strerror}", file=name)]) from error
        if len(data) > _MAX_BYTES:
            raise ConfigError([Problem(message=f"has more than {_MAX_BYTES} bytes", file=name)])
        return decode_text(data, name)

    def project_without_file(self) -> Path:
        """Return the folder of a project that is only a main module: here, or where that is."""
        main = Path(str(self.overrides.main))
        return self.cwd if not main.is_absolute() or main.is_relative_to(self.cwd) else main.parent

    def dotenv(self, folder: Path, environment: str | None, report: Report) -> dict[str, DotenvValue]:
        """Return what ``.dev.vars`` or else the ``.env`` files say; ``serve`` reads neither unless told to."""
        values: dict[str, DotenvValue] = {}
        for file in self.dotenv_files(folder, environment):
            parsed = parse_dotenv(self.read(file), self.shown(file))
            if parsed:
                report.notice_about(self.shown(file), f"gives the secrets {', '.join(sorted(parsed))}")
            self.notice_expansion(parsed, report)
            # The most specific file came first.
            values = {**parsed, **values}
        if not self.is_dev and not self.overrides.env_files and (folder / ".dev.vars").is_file():
            message = (
                "is not read by 'longshore serve': list the names in secrets.required and set them in the environment"
            )
            report.notice_about(self.shown(folder / ".dev.vars"), message)
        return values

    def notice_expansion(self, values: Mapping[str, DotenvValue], report: Report) -> None:
        """Say where wrangler would put in another variable's value: in ``.env`` files, though not in ``.dev.vars``."""
        for name, value in values.items():
            if _REFERENCE.search(value.value) and not Path(value.file).name.startswith(".dev.vars"):
                report.notice_about(f"{value.file}:{value.line}", f"{name} has a '$', which stands for itself here")

    def dotenv_files(self, folder: Path, environment: str | None) -> list[Path]:
        """Return the files to read, the most specific first: ``.dev.vars`` alone, or all ``.env`` files."""
        if self.overrides.env_files:
            return [self.cwd / file for file in reversed(self.overrides.env_files)]
        if not self.is_dev:
            return []
        special = [folder / f".dev.vars.{environment}"] if environment else []
        for file in (*special, folder / ".dev.vars"):
            if file.is_file():
                return [file]
        names = [".env.local", ".env"]
        if environment:
            names = [f".env.{environment}.local", ".env.local", f".env.{environment}", ".env"]
        return [folder / name for name in names if (folder / name).is_file()]

    def shown(self, file: Path) -> str:
        return str(file.relative_to(self.cwd)) if file.is_relative_to(self.cwd) else str(file)


def _home(variables: Mapping[str, str]) -> Path | None:
    home = variables.get("HOME")
    return Path(home) if home else None


def _raise_when_hopeless(findings: list[tuple[KeyPath, Problem]]) -> None:
    """Raise when ``env`` or one of its sections is no table, so that nothing can be laid over anything."""
    if any(path[:1] == ("env",) and len(path) < 3 for path, _ in findings):
        raise ConfigError([problem for _, problem in findings])


def _candidates(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in CONFIG_FILES if (folder / name).is_file())


def _without_broken(document: Document, paths: list[KeyPath]) -> tuple[Document, frozenset[str]]:
    """Return the document without the keys that are wrong somewhere inside, and the names of those keys.

    What is left can be resolved, so that a person learns of everything at once.
    """
    values = dict(document.values)
    if "env" in values:
        values["env"] = {name: dict(section) for name, section in values["env"].items()}
    for path in paths:
        inside, key = (values["env"][path[1]], path[2]) if path[0] == "env" else (values, path[0])
        inside.pop(str(key), None)
    broken = frozenset(str(path[2] if path[0] == "env" else path[0]) for path in paths)
    return dataclasses.replace(document, values=values), broken
