"""The model cards that ship with stzoo: Markdown with typed front matter, one file a model name."""
