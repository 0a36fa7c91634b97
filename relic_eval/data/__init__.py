"""Pictures with labels: the bundled sets, folders of class folders, and the tasks made of them."""
