"""`hub:OWNER/REPO:REF/ENTRY` and `hub:FOLDER/ENTRY`: what a function of a repository's hubconf.py makes.

The repository's code runs here, as with torch.hub: name only those that you trust.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.hub_files import torch_folder
from relic_eval.encoders.notes import cache_folder, last_found, weights_digest
from relic_eval.encoders.offline import reaching
from relic_eval.encoders.settings import IMAGENET, READ, SEEN, Look, Settings, refuse_others
from relic_eval.errors import ArgumentError, DataError, RelicError
from relic_eval.records import Transform

OWN = Look(Transform(224, resize=256), *IMAGENET)  # chosen: DINO's, DINOv2's and most others' way, by a cubic


def hub_encoder(name: str, its: Settings) -> Encoder:
    """An entry of a repository, in torch's hub folder or fetched to there, or of a folder on this machine.

    Raises ArgumentError for another form of name, DataError for a repository or entry that is not to be had.
    """
    refuse_others(f"hub:{name}", its, (*SEEN, *READ, "weights", "prefix"))
    place, _, entry = name.rpartition("/")
    if not place or not entry.isidentifier():
        raise ArgumentError("encoder", "hub:OWNER/REPO:REF/ENTRY or hub:FOLDER/ENTRY", f"hub:{name}")
    folder = _repository(name, place)
    file = Path(its.weights).expanduser().absolute() if its.weights else None
    if file is not None and not file.is_file():
        raise DataError(f"weights: expected a file {file}, received nothing there.")
    version = importlib.metadata.version("torch")

    def made() -> Any:
        from relic_eval.encoders.checkpoints import load_into
        from relic_eval.encoders.families import without_classifier

        module = without_classifier(_load(name, folder, entry, file is not None))
        if file is not None:
            load_into(module, file, prefix=its.prefix)
        return module

    def find() -> tuple[dict[str, Any], list[Path]]:
        from relic_eval.encoders.identity import identity

        # which files an entry reads is not to be known: all that it may have read is watched
        return {"identity": identity(made())}, [folder, torch_folder() / "checkpoints", *([file] if file else [])]

    key = ["hub", str(folder), entry, its.weights, its.prefix, version, str(torch_folder())]
    its_identity = last_found(key, find)["identity"]

    def make(channels: int, seen: Look) -> Any:
        from relic_eval.encoders.identity import identity

        module = made()
        if identity(module) != its_identity:  # it is another network than the digest says
            raise DataError(
                f"hub:{name}: expected the weights that {entry} made when it was first looked at, received others: nothing seeds "
                "them where they are made, or a file elsewhere that it reads has changed. Seed them, or save them and name the "
                f"file with weights=PATH; after a change delete the notes in {cache_folder()}."
            )
        return module

    known = [version, entry, its_identity, "" if file is None else weights_digest(file)]
    return network_encoder(entry, its, OWN, known, make, kind=f"hub:{name}")


def _repository(name: str, place: str) -> Path:
    """The folder of a repository: one that is named, or the one in torch's hub folder, which is fetched where it is not there."""
    folder = Path(place).expanduser()
    if folder.is_dir() or place.startswith((".", "/", "~")):
        if not (folder / "hubconf.py").is_file():
            raise DataError(f"hub:{name}: expected hubconf.py in {folder}, received none.")
        return folder.absolute()
    found = re.fullmatch(r"([\w.-]+)/([\w.-]+?)(?::([\w./-]+))?", place)
    if found is None:
        raise ArgumentError("encoder", "hub:OWNER/REPO:REF/ENTRY or hub:FOLDER/ENTRY", f"hub:{name}")
    owner, repo, ref = found.groups()
    places = [torch_folder() / f"{owner}_{repo}_{r.replace('/', '_')}" for r in ([ref] if ref else ["main", "master"])]
    there = [p for p in places if (p / "hubconf.py").is_file()]
    if there:
        return there[0]
    get = f"Clone github.com/{owner}/{repo} and put it there, or name its folder: hub:FOLDER/{name.rpartition('/')[2]}."
    with reaching(f"hub:{name}", f"the repository {places[0]}", get):
        import torch.hub

        fetched = torch.hub._get_cache_or_reload(
            f"{owner}/{repo}{f':{ref}' if ref else ''}", False, True, verbose=False, skip_validation=True
        )
        return Path(fetched)


def _load(name: str, folder: Path, entry: str, bare: bool) -> Any:
    import torch.hub

    get = f"Get that file and put it into {torch_folder() / 'checkpoints'}, or name one with weights=PATH."
    with reaching(f"hub:{name}", "the weights that it reads", get):
        more = {"pretrained": False} if bare else {}
        try:
            module = torch.hub.load(str(folder), entry, source="local", **more)
        except RuntimeError as error:
            if "Cannot find callable" not in str(error):
                _note(error, name, folder, entry, more)
                raise
            listed = re.findall(
                r"^def ([a-zA-Z]\w*)", (folder / "hubconf.py").read_text(errors="replace"), re.MULTILINE
            )
            raise ArgumentError(
                "encoder", f"an entry of {folder / 'hubconf.py'} ({', '.join(listed[:8])})", repr(entry)
            ) from None
        except RelicError:
            raise
        except Exception as error:  # anything that their code raises
            _note(error, name, folder, entry, more)
            raise
    if not hasattr(module, "state_dict"):
        raise ArgumentError("encoder", f"an entry of {folder} that makes a torch module", type(module).__name__)
    return module


def _note(error: Exception, name: str, folder: Path, entry: str, given: dict[str, Any]) -> None:
    """Put on an error of an entry where that is and how it was called."""
    lines = (folder / "hubconf.py").read_text(errors="replace").splitlines()
    at = [f":{number}" for number, line in enumerate(lines, 1) if line.startswith(f"def {entry}(")]
    how = "with pretrained=False" if given else "without arguments"
    error.add_note(
        f"hub:{name}: {entry} of {folder / 'hubconf.py'}{''.join(at[:1])} was called {how} to make the encoder."
    )
