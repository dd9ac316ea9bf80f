"""Serves Mermaid from the site itself: the copy that NiceGUI, which the tests need anyway, brings along."""

from importlib.util import find_spec
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add Mermaid's modules to the site."""
    modules = sorted(_folder().glob("*.js"))
    if "index.js" not in {module.name for module in modules}:
        raise PluginError(f"Mermaid is not in {_folder()} any more: say in {__file__} where NiceGUI has it")
    for module in modules:
        files.append(File.generated(config, f"javascripts/mermaid/{module.name}", abs_src_path=str(module)))
    return files


def _folder() -> Path:
    nicegui = find_spec("nicegui")
    if nicegui is None or nicegui.origin is None:
        raise PluginError("The drawings need NiceGUI's copy of Mermaid: pip install -e '.[dev]'")
    return Path(nicegui.origin).parent / "elements" / "mermaid" / "dist"
