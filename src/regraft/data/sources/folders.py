"""Images and labels from folders: a folder per class, also below train/, val/ and test/."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from regraft.data.sources.candidates import Candidate, Found, suffix_of
from regraft.data.sources.folder_tree import Folder, Walk, is_document, start_of
from regraft.data.sources.layouts import Layout, recognised
from regraft.records import Finding
from regraft.settings import Layout as LayoutChoice
from regraft.storage.tables import printable

_LISTED = 5


def from_folder(root: Path, layout: LayoutChoice = "auto") -> Found:
    """The candidates in a folder, with the class folders as labels.

    Raises:
        DataError: the folder can't be read, or its layout is not clear.
    """
    walk = Walk()
    return found_in(walk.folder(root), walk, root, layout)


def found_in(tree: Folder, walk: Walk, root: Path, layout: LayoutChoice = "auto") -> Found:
    """The candidates in folders that were walked, also in those of an archive.

    Raises:
        DataError: the layout is not clear.
    """
    known = recognised(tree, layout)
    start = len(start_of(root))
    candidates = tuple(
        Candidate(_with_slashes(file[start:]), file, place.label, place.side)
        for place in known.classes
        for file in place.folder.all_files()
    )
    loose, empty = _outside(tree, known)
    walk.ignored += [(path, suffix_of(_with_slashes(path))) for path in loose if is_document(path)]
    loose = [path for path in loose if not is_document(path)]
    findings = (
        *_ignored(walk.ignored, root),
        *_set_aside(walk.set_aside, known, root),
        *_unlabelled(loose, known, root),
        *_joined_names(known, root),
        *_empty(known, candidates, _names(empty, root)),
    )
    return Found(
        root, candidates, tuple(walk.skipped), findings, _text(known, walk, loose, root), hint=known.hint
    )


def _with_slashes(path: str) -> str:
    return path if os.sep == "/" else path.replace(os.sep, "/")


def _outside(tree: Folder, known: Layout) -> tuple[list[str], list[Path]]:
    """Files that are in no folder of the layout, and empty folders next to these."""
    taken = {id(place.folder) for place in known.classes}
    taken |= {id(folder) for folder in (*known.unlabelled, *known.unknown)}
    files: list[str] = []
    empty, waiting = [], [tree]
    while waiting:
        folder = waiting.pop()
        files += folder.files
        others = [below for below in folder.folders if id(below) not in taken]
        empty += [below.path for below in others if not below.count]
        waiting += [below for below in others if below.count]
    return sorted(files, key=lambda file: file.split(os.sep)), sorted(empty)


def _ignored(ignored: Sequence[tuple[str, str]], root: Path) -> tuple[Finding, ...]:
    if not ignored:
        return ()
    kinds = Counter(kind for _, kind in ignored).most_common()
    listed = ", ".join(f"{count:,} {printable(kind)}" for kind, count in kinds[:_LISTED])
    more = ", and others" if len(kinds) > _LISTED else ""
    text = (
        f"{_files_were(len(ignored))} ignored, because their names are not those of pictures: {listed}{more}"
    )
    return (Finding("ignored", text, tuple(_files_in([path for path, _ in ignored], root))),)


def _set_aside(folders: Sequence[tuple[Path, str]], known: Layout, root: Path) -> tuple[Finding, ...]:
    reasons: dict[str, list[Path]] = defaultdict(list)
    for path, reason in folders:
        reasons[reason].append(path)
    findings = []
    for reason, paths in reasons.items():
        listed = _short(_names(paths, root))
        kind = reason if len(paths) == 1 else f"{len(paths):,} times {reason}"
        findings.append(
            Finding("set-aside", f"{kind}, set aside as no data: {listed}", tuple(_names(paths, root)))
        )
    for folder in known.unknown:
        name = _names([folder.path], root)[0]
        text = f"{name}/ is next to the sides of the split; its {_files_were(folder.count)} set aside"
        findings.append(Finding("set-aside", text, (name,)))
    return tuple(findings)


def _unlabelled(loose: Sequence[str], known: Layout, root: Path) -> tuple[Finding, ...]:
    findings = []
    for folder in known.unlabelled:
        name = _names([folder.path], root)[0]
        text = f"{name}/ has no class folders; its {_files_were(folder.count)} set aside as unlabelled"
        findings.append(Finding("unlabelled", text, tuple(_files_in(folder.all_files(), root))))
    if loose:
        text = f"{_files_were(len(loose))} set aside as unlabelled: in no class folder"
        findings.append(Finding("unlabelled", text, tuple(_files_in(loose, root))))
    return tuple(findings)


def _joined_names(known: Layout, root: Path) -> tuple[Finding, ...]:
    spellings: dict[str, dict[str, Path]] = defaultdict(dict)
    for place in known.classes:
        spellings[place.label].setdefault(place.folder.name, place.folder.path)
    return tuple(
        Finding(
            "note",
            f"the folders of class {label} differ by composed characters or white space alone: one class",
            tuple(_names(list(folders.values()), root)),
        )
        for label, folders in sorted(spellings.items())
        if len(folders) > 1
    )


def _empty(known: Layout, candidates: Sequence[Candidate], others: Sequence[str]) -> list[Finding]:
    used = {candidate.label for candidate in candidates}
    empty = sorted({place.label for place in known.classes} - used)
    return [
        *(Finding("empty-class", f"class folder {name} contains no images") for name in empty),
        *(Finding("empty-folder", f"the folder {name} contains no images", (name,)) for name in others),
    ]


def _text(known: Layout, walk: Walk, loose: Sequence[str], root: Path) -> str:
    """The layout in one line, with what was set aside."""
    aside = [
        f"{name}/ ({_files(folder.count)} without labels)" for folder, name in _each(known.unlabelled, root)
    ]
    aside += [f"{name}/ ({_files(folder.count)})" for folder, name in _each(known.unknown, root)]
    aside += [f"{name}/" for name in _names([path for path, _ in walk.set_aside], root)]
    aside += [f"{_files(len(loose))} in no class folder"] if loose else []
    return f"{known.text}; set aside: {_short(aside)}" if aside else known.text


def _each(folders: Sequence[Folder], root: Path) -> list[tuple[Folder, str]]:
    return [(folder, _names([folder.path], root)[0]) for folder in folders]


def _names(folders: Sequence[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in folders]


def _files_in(paths: Iterable[str], root: Path) -> list[str]:
    start = len(start_of(root))
    return [_with_slashes(path[start:]) for path in paths]


def _short(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return printable(", ".join(names[:_LISTED])) + more


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _files_were(count: int) -> str:
    """A number of files with a verb.

    >>> _files_were(1), _files_were(2000)
    ('1 file was', '2,000 files were')
    """
    return f"{_files(count)} {'was' if count == 1 else 'were'}"


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and its subfolders that may be images, ordered by name."""
    return map(Path, Walk().folder(folder).all_files())
