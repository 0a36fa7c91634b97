"""Files of Hugging Face's hub in its cache on this machine, fetched where they are not there. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from relic_eval.encoders.offline import WAIT, reaching
from relic_eval.errors import ArgumentError, DataError


def hub_folder() -> Path:
    """Where Hugging Face's files lie.

    >>> hub_folder().is_absolute()
    True
    """
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(os.environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "hub").absolute()


def torch_folder() -> Path:
    """Where torch keeps repositories and, in `checkpoints`, weights.

    >>> torch_folder().name
    'hub'
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser().absolute() / "hub"


def hub_file(name: str, repo: str, files: Sequence[str], revision: str | None = None) -> Path:
    """The first of these files that a repository has, in the cache; fetched where none is there.

    Raises DataError where it is neither there nor to be had, saying where to put it.
    """
    folder = hub_folder()
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError:
        raise ArgumentError(
            name, "huggingface_hub to be installed", "none", "Type: pip install 'relic-eval[hf]'."
        ) from None
    for file in files:
        found = try_to_load_from_cache(repo, file, cache_dir=folder, revision=revision)
        if isinstance(found, str):
            return Path(found)
    get = (
        f"Type 'hf download {repo}' where there is a connection and copy {folder.name}/models--{repo.replace('/', '--')} "
        f"to {folder}, or name a file with weights=PATH."
    )
    with reaching(name, f"{files[0]} of {repo}", get):
        for file in files:
            try:
                # asked once: a download asks again for half a minute where nobody answers
                get_hf_file_metadata(hf_hub_url(repo, file, revision=revision), timeout=WAIT)
                return Path(hf_hub_download(repo, file, cache_dir=folder, revision=revision, etag_timeout=WAIT))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
    raise DataError(f"{name}: expected one of {', '.join(files)} in {repo}, received none. {get}")


def refs_of(file: Path) -> list[Path]:
    """The file, the snapshot that it is in and what names the newest snapshot: a change of these may mean other weights."""
    parts = file.parts
    if "snapshots" not in parts:
        return [file]
    repo = Path(*parts[: parts.index("snapshots")])
    return [file.parent, repo / "refs"]


def torch_file(name: str, url: str) -> Path:
    """The file of this address in torch's folder of checkpoints, fetched there where it is not; DataError where it cannot be."""
    from urllib.parse import urlparse

    place = torch_folder() / "checkpoints" / Path(urlparse(url).path).name
    if place.exists():
        return place
    with reaching(name, f"the file {place}", f"Get {url} and put it there, or name a file with weights=PATH."):
        import re

        from torch.hub import download_url_to_file

        place.parent.mkdir(parents=True, exist_ok=True)
        known = re.search(r"-([a-f0-9]{8,})\.", place.name)
        download_url_to_file(url, str(place), known.group(1) if known else None, progress=False)
    return place
