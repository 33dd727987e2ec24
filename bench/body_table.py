def render(path):
    pass
