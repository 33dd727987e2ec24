"""Pictures of the data in the report, within the page itself."""

from base64 import b64encode
from html import escape

from lossmith.study.base.result import Gallery


def gallery(shown: Gallery) -> tuple[str, str]:
    """Return the section's title, and pictures with their captions and the key to colours."""
    key = "".join(
        f'<span class="key"><i class="bars" style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in shown.key
    )
    figures = "".join(
        f"<figure><div>{''.join(_image(one, each.caption) for one in each.pictures)}</div>"
        f"<figcaption>{escape(each.caption)}</figcaption></figure>"
        for each in shown.shown
    )
    several = any(len(each.pictures) > 1 for each in shown.shown)
    css = "pictures several" if several else "pictures"
    key = f"<p>{key}</p>" if key else ""
    return shown.title, f"<p>{escape(shown.text)}</p>{key}<div class='{css}'>{figures}</div>"


def _image(png: bytes, caption: str) -> str:
    data = b64encode(png).decode("ascii")
    return f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
