"""XMP packets (ISO 16684-1): what a picture's file says of its origin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax import saxutils

_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_OWN = "urn:jax-gans:origin:1"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PACKET = re.compile(rb"<x:xmpmeta\b.*?</x:xmpmeta>", re.DOTALL)
_LARGEST = 2**20  # bytes of a packet
# What XML 1.0 has no place for, such as bytes of a folder's name that are not UTF-8.
_OUTSIDE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def packet(known: Mapping[str, str]) -> str:
    """Returns the packet of {name: text}; names are letters.

    "generator" is xmp:CreatorTool and Iptc4xmpExt:AISystemUsed, "source" the digital
    source type, unless it is empty; others are in a namespace of our own. A character
    that XML cannot hold becomes U+FFFD.
    """
    rest = dict(known)
    tool, source = rest.pop("generator", ""), rest.pop("source", "")
    said = {"xmp:CreatorTool": tool}
    if source:
        said["Iptc4xmpExt:DigitalSourceType"] = _TYPES + source
        said["Iptc4xmpExt:AISystemUsed"] = tool
    said |= {f"gan:{name}": text for name, text in rest.items()}
    texts = {k: _OUTSIDE.sub("\ufffd", x) for k, x in said.items()}
    lines = "".join(f"\n   {k}={saxutils.quoteattr(x)}" for k, x in texts.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n  <rdf:Description rdf:about=""\n'
        f'   xmlns:xmp="{_XMP}"\n   xmlns:Iptc4xmpExt="{_IPTC}"\n'
        f'   xmlns:gan="{_OWN}"{lines}/>\n </rdf:RDF>\n</x:xmpmeta>'
    )


def read(content: bytes) -> dict[str, str]:
    """Returns what the first packet in a file's content says; {} without one.

    Packets of other programs are read too, as far as they have these properties. One
    with definitions of its own, which could be made to fill the memory, is left alone.
    """
    found = _PACKET.search(content)
    if not found or len(found[0]) > _LARGEST or b"<!" in found[0]:
        return {}
    try:
        root = ElementTree.fromstring(found[0])
    except ElementTree.ParseError:
        return {}
    known: dict[str, str] = {}
    for part in root.iter(f"{{{_RDF}}}Description"):
        said = dict(part.attrib) | {x.tag: (x.text or "").strip() for x in part}
        for name, text in said.items():
            space, _, own = name.removeprefix("{").partition("}")
            if (space, own) == (_XMP, "CreatorTool"):
                known["generator"] = text
            elif (space, own) == (_IPTC, "DigitalSourceType"):
                known["source"] = text.removeprefix(_TYPES)
            elif space == _OWN:
                known[own] = text
    return known
