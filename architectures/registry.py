"""This module holds the registry of architectures, and the generic registry it is made of."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from facebench.architectures import extensions
from facebench.architectures.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import nn

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """A registry holds named entries of one kind, filled by the modules of one package.

    The package's modules are imported at the first look-up, so that adding an
    entry is adding a file to the package; `extensions` then adds what comes from
    elsewhere. A family of names, such as
    `folder:<path>`, is one function that makes the entry from what follows the colon.

    Example:
        >>> colours: Registry[str] = Registry("colour")
        >>> colours.add("red", "#ff0000")
        '#ff0000'
        >>> colours["red"]
        '#ff0000'
        >>> colours["rad"]
        Traceback (most recent call last):
        ...
        facebench.architectures.errors.UnknownNameError: unknown colour 'rad': ...
    """

    def __init__(
        self,
        noun: str,
        package: str | None = None,
        extensions: Callable[[], None] = lambda: None,
    ) -> None:
        self.noun = noun
        self._package = package
        self._extensions = extensions
        self._loading = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._families: dict[str, tuple[Callable[[str], Entry], str]] = {}
        self._modules: dict[str, str] = {}

    def family(
        self, prefix: str, about: str
    ) -> Callable[[Callable[[str], Entry]], Callable[[str], Entry]]:
        """Register the decorated function for all names that begin with `prefix:`."""

        def decorate(make: Callable[[str], Entry]) -> Callable[[str], Entry]:
            self._families[prefix] = (make, about)
            self._modules[prefix] = make.__module__
            return make

        return decorate

    def families(self) -> dict[str, str]:
        """Return what each prefix of a family stands for, in a line."""
        self._load()
        return {prefix: about for prefix, (_, about) in self._families.items()}

    def add(self, name: str, entry: Entry, module: str = "") -> Entry:
        """Register `entry` under `name`.

        Args:
            name: by which it is looked up.
            entry: what is registered.
            module: that it comes from; by default the one that calls this.

        Raises:
            ValueError: the name is taken; no two things share a name.
        """
        if name in self._entries:
            raise ValueError(f"{self.noun} {name!r} is registered twice")
        self._entries[name] = entry
        self._modules[name] = module or sys._getframe(1).f_globals["__name__"]
        return entry

    def forget(self, names: Iterable[str]) -> None:
        """Take entries out, so that others may have their names."""
        for name in names:
            del self._entries[name], self._modules[name]

    def module(self, name: str) -> str:
        """Return the full name of the module that registered an entry, or its family.

        Raises:
            UnknownNameError: there is no such entry.
        """
        self[name]
        prefix, colon, _ = name.partition(":")
        return self._modules[prefix if colon and prefix in self._families else name]

    def names(self) -> list[str]:
        """Return all names: the package's by their modules, then others as they came."""
        self._load()
        return list(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        self._load()
        return iter(list(self._entries.values()))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def __getitem__(self, name: str) -> Entry:
        self._load()
        prefix, colon, rest = name.partition(":")
        if colon and prefix in self._families:
            return self._families[prefix][0](rest)
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self._unknown(name)) from None

    def _load(self) -> None:
        # The lock holds other threads until all is there; the modules that are
        # imported may look entries up themselves.
        with self._loading:
            if self._package is None:
                return
            package, self._package = importlib.import_module(self._package), None
            modules = [
                f"{package.__name__}.{one.name}" for one in pkgutil.iter_modules(package.__path__)
            ]
            for module in modules:
                importlib.import_module(module)
            self._sort(modules)
            self._extensions()

    def _sort(self, modules: list[str]) -> None:
        """Put entries in the order of the modules they come from.

        Who has imported one before would find its entries first otherwise.
        """
        places = {module: place for place, module in enumerate(modules)}
        self._entries = dict(
            sorted(
                self._entries.items(),
                key=lambda one: places.get(self._modules[one[0]], len(places)),
            )
        )

    def _unknown(self, name: str) -> str:
        known = list(self._entries)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return f"unknown {self.noun} {name!r}: {hint}(known: {', '.join(known)})"


@dataclass(frozen=True)
class Preprocessing:
    """It says how 8-bit pixels become a network's input: (pixel - mean) / scale.

    `mean` and `scale` are in pixel units (0 to 255), one value a channel, in
    the order of `channels`. The default is the paper's (section 4.1).
    """

    channels: str = "RGB"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: tuple[float, float, float] = (128.0, 128.0, 128.0)


@dataclass(frozen=True)
class Published:
    """It holds what a network's own publication says it costs, and in which form.

    Attributes:
        parameters: millions, with the digits that were published; empty where none were.
        source: where it stands.
        madds: millions of multiply-adds, likewise, whatever the publication calls them;
            empty where none were published, or FLOPs were.
        flops: millions of operations, of which two are a multiply-add.
        megabytes: of the model's file, of 10^6 or 2^20 bytes: few publications say which.
        build: makes the form that was published where it is not the one registered here:
            with ImageNet's 1000 classes, say.
        input_size: height and width in pixels of that form.
        differs: why our count does not round to these figures; empty where it does.
    """

    parameters: str
    source: str
    madds: str = ""
    flops: str = ""
    megabytes: str = ""
    build: Callable[[], nn.Module] | None = None
    input_size: tuple[int, int] = (112, 112)
    differs: str = ""


@dataclass(frozen=True)
class Architecture:
    """An architecture is a network's name with the facts that go with it.

    Attributes:
        name: the variant in full; no two architectures share one.
        build: makes the untrained network, a module that maps
            `(N, 3, H, W)` float32 to embeddings `(N, embedding_size)`.
        input_size: height and width in pixels.
        embedding_size: elements of an embedding.
        reference: the publication the network comes from.
        paper_row: its row in Table 2 of arXiv 1804.07573, if it has one.
        note: the reading taken where the publication leaves a choice.
        preprocessing: what its input expects.
        source: of one from outside this project: the hash of the file that defines it, or
            the package and its version.
        published: of the wider family, beside arXiv 1804.07573 and its comparisons: what
            the network's own publication says it costs.
        large: whether it is none for a phone, which "all" networks leave out: it is counted,
            exported and timed where it is named.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: tuple[int, int]
    embedding_size: int
    reference: str
    paper_row: str | None = None
    note: str = ""
    preprocessing: Preprocessing = Preprocessing()
    source: str = ""
    published: Published | None = None
    large: bool = False


def _extend() -> None:
    extensions.load_installed("networks")
    extensions.load_files()


@dataclass(frozen=True)
class Foretold:
    """It is what is known of the registered architectures before their modules are imported.

    Attributes:
        architectures: all of them, in order; what they build is not looked at.
        modules: full names of those that register them, in the same order.
        families: prefixes of names, with the module of each.
    """

    architectures: Sequence[Architecture]
    modules: Sequence[str]
    families: Mapping[str, str]


class _Architectures(Registry[Architecture]):
    """It holds the architectures; foretold ones do without their modules, which import torch."""

    tell: Callable[[], Foretold | None] | None = None

    def __init__(self) -> None:
        super().__init__("network", "facebench.architectures", _extend)
        self._foretold: dict[str, Architecture] = {}
        self.foretold_families: Mapping[str, str] = {}

    def _load(self) -> None:
        with self._loading:
            if self._package is None or self._foretold:
                return
            tell, self.tell = self.tell, None
            # Where a module was imported before, and has registered its own, all are imported.
            told = tell() if tell and not self._entries else None
            if told is None or self._package is None:
                super()._load()
                return
            for found, module in zip(told.architectures, told.modules, strict=True):
                self._foretold[found.name] = self.add(found.name, self._with_builds(found), module)
            self.foretold_families = told.families

    def add(self, name: str, entry: Architecture, module: str = "") -> Architecture:
        """Register an architecture, in the place of what was foretold of it."""
        if name not in self._foretold or self._entries[name] is not self._foretold.pop(name):
            return super().add(name, entry, module)
        self._entries[name], self._modules[name] = entry, module
        return entry

    def imported(self) -> None:
        """See that all modules are imported."""
        with self._loading:
            for name, found in self._foretold.items():
                if self._entries[name] is found:
                    del self._entries[name]
            self._foretold, self.foretold_families, self.tell = {}, {}, None
            super()._load()

    def _with_builds(self, found: Architecture) -> Architecture:
        """Return what was foretold with what builds it, which imports its module."""

        def real() -> Architecture:
            self.imported()
            return self[found.name]

        def published() -> nn.Module:
            form = real().published
            assert form is not None
            assert form.build is not None
            return form.build()

        form = found.published
        if form is not None and form.build is not None:
            form = replace(form, build=published)
        return replace(found, build=lambda: real().build(), published=form)


_architectures = _Architectures()
_families: dict[str, Callable[[str], Architecture]] = {}

Builder = Callable[[], "nn.Module"]
Family = Callable[[str], Architecture]


def register(
    name: str,
    *,
    input_size: tuple[int, int] = (112, 112),
    embedding_size: int = 128,
    reference: str,
    paper_row: str | None = None,
    note: str = "",
    published: Published | None = None,
    large: bool = False,
) -> Callable[[Builder], Builder]:
    """Register the decorated function, which builds the untrained network.

    Decorators stack, so one function can build nothing but one network; for
    variants use several small functions.
    """

    def decorate(build: Builder) -> Builder:
        _architectures.add(
            name,
            Architecture(
                name,
                build,
                input_size,
                embedding_size,
                reference,
                paper_row,
                note,
                source=extensions.source(),
                published=published,
                large=large,
            ),
            build.__module__,
        )
        return build

    return decorate


def register_family(prefix: str) -> Callable[[Family], Family]:
    """Register the decorated function for all names that begin with `prefix:`.

    It gets what follows the colon and returns the architecture, or raises
    `UnknownNameError`.
    """

    def decorate(family: Family) -> Family:
        _families[prefix] = family
        return family

    return decorate


def names() -> list[str]:
    """Return names of the registered architectures (families of names not included), the paper's
    first.
    """
    return [found.name for found in sorted(_architectures, key=lambda a: a.published is not None)]


def mobile_names() -> list[str]:
    """List the names but those of large networks."""
    return [name for name in names() if not _architectures[name].large]


def paper_names() -> list[str]:
    """List the networks of arXiv 1804.07573, those it compares them with, and their variants."""
    return [found.name for found in _architectures if not (found.published or found.source)]


def foretell(tell: Callable[[], Foretold | None]) -> None:
    """Ask, at the first look-up, what the architectures are; None has them imported."""
    _architectures.tell = tell


def imported() -> Foretold:
    """Import all modules, and return what they register, as it may be foretold."""
    _architectures.imported()
    found = [one for one in _architectures if not one.source]
    modules = [_architectures.module(one.name) for one in found]
    return Foretold(found, modules, {prefix: made.__module__ for prefix, made in _families.items()})


def forget(names: Iterable[str]) -> None:
    """Take architectures out, such as those of a file that was changed since."""
    _architectures.forget(names)


def families() -> list[str]:
    """Return the prefixes that stand for a whole family of names, such as `timm`."""
    _architectures.names()
    return list(_families or _architectures.foretold_families)


def module(name: str) -> str:
    """Return the full name of the module that registered an architecture, or its family.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    prefix, colon, _ = name.partition(":")
    if colon and prefix in families():
        return _architectures.foretold_families.get(prefix) or _families[prefix].__module__
    return _architectures.module(name)


def find(name: str) -> Architecture:
    """Return the architecture called `name`.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix in families():
        _architectures.imported()
        return _families[prefix](rest)
    return _architectures[name]
