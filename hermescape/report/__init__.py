"""`hermescape report`: derivation, numbers, figures and verdict of one student as a single HTML file.

`findings` computes, `figures` draws, `mathml`, `article` and `tables` write parts, and `page` puts them together.
Nothing is imported here, so that the command line starts quickly.
"""
