"""The documentation site: docs/ with what is read from the program itself, built into build/site."""
