"""Pictures and texts of the data in the report, within the page itself."""

from base64 import b64encode
from html import escape

from lossmith.printable import printable
from lossmith.study.base.result import Gallery, Shown


def gallery(shown: Gallery) -> tuple[str, str]:
    """Return the section's title, and pictures or texts with captions, and the key to colours."""
    key = "".join(
        f'<span class="key"><i class="bars" style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in shown.key
    )
    figures = "".join(
        f"<figure>{_content(each)}<figcaption>{escape(each.caption)}</figcaption></figure>"
        for each in shown.shown
    )
    wide = any(each.text or len(each.pictures) > 1 for each in shown.shown)
    css = "pictures several" if wide else "pictures"
    key = f"<p>{key}</p>" if key else ""
    return shown.title, f"<p>{escape(shown.text)}</p>{key}<div class='{css}'>{figures}</div>"


def _content(each: Shown) -> str:
    if each.text:
        return f"<blockquote>{escape(printable(each.text))}</blockquote>"
    return f"<div>{''.join(_image(one, each.caption) for one in each.pictures)}</div>"


def _image(png: bytes, caption: str) -> str:
    data = b64encode(png).decode("ascii")
    return f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
