"""The dock *Annotate & train*: a project, its images, what is painted on them.

One section of the dock to a file. What a section works on is :class:`~.open_project.OpenProject`;
:mod:`.autosave` writes strokes while the window goes on, and knows no Qt.
"""
