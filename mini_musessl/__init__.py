"""mini_musessl: the library of the book *Self-Supervised Learning for Music Generation*.

Importing the package loads none of its modules, so it costs nothing. Import the module you need::

    from mini_musessl import corpora, music
    from mini_musessl.show import show

The README prints the floors of the house; a module imports only from floors below its own.
"""

import sys

__version__ = "0.1.0"


class _SayWhatIsMissing:
    """Python asks this finder last: an import by a module of the library that nothing else could find."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Say which package a module of the library needs; the imports of others are left to Python."""
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals["__name__"].startswith(("importlib", "_frozen_importlib")):
            frame = frame.f_back
        importer = frame.f_globals["__name__"]
        if importer.startswith("mini_musessl.") and path is None:  # a path is a folder of a package that was found
            raise ModuleNotFoundError(
                f"{importer} needs the package {name}, which is not installed. Run: pip install {name}", name=name
            )


sys.meta_path.append(_SayWhatIsMissing)
