"""An entry of a gallery apart from its templates and its photo."""
