"""mini_musessl: the library of the book *Self-Supervised Learning for Music Generation*.

Importing the package loads none of its modules, so it costs nothing. Import the module you need::

    from mini_musessl import corpora, music
    from mini_musessl.show import show

The README prints the floors of the house; a module imports only from floors below its own.
"""

__version__ = "0.1.0"
