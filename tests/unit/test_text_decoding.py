from pathlib import Path

import pytest

from arqueduct.errors import DocumentTooLong
from arqueduct_worker.parsing.text import decode, detect_encoding

RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. Москва является столицей России.\n" * 5
GREEK = "Η γρήγορη καφέ αλεπού πηδάει πάνω από τον τεμπέλη σκύλο. Η Αθήνα είναι πρωτεύουσα.\n" * 5
SPANISH = "El señor Núñez comió piñas en la montaña; ¿qué más quería, después de mañana?\n" * 5
GERMAN = "Größere Übungen für müde Bären: süße Äpfel und öde Straßen überall.\n" * 5
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n" * 5
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n" * 5
CHINESE = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。\n" * 5
ARABIC = "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا.\n" * 5


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "utf-16-be"),
        (GREEK, "cp1253"),
        (GREEK, "iso8859-7"),
        (SPANISH, "cp1252"),
        (SPANISH, "utf-8"),
        (SPANISH, "utf-8-sig"),
        (SPANISH, "utf-16"),
        (SPANISH, "utf-16-le"),
        (SPANISH, "utf-32"),
        (SPANISH, "utf-32-be"),
        (GERMAN, "latin-1"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "euc_kr"),
        (CHINESE, "gb18030"),
        (ARABIC, "cp1256"),
    ],
)
def test_text_is_read_in_its_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(text.encode(encoding))
    assert decode(path, 10_000) == text


def test_the_telling_bytes_may_come_late(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"only ASCII here\n" * 20_000 + SPANISH.encode("cp1252"))
    assert decode(path, 1_000_000).endswith(SPANISH)


def test_one_broken_byte_does_not_change_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(SPANISH.encode() + b"\xff" + SPANISH.encode())
    assert decode(path, 10_000) == f"{SPANISH}\ufffd{SPANISH}"


def test_a_character_may_lie_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "text"
    text = "x" + "é" * (3 << 20)
    path.write_text(text, encoding="utf-8")
    assert decode(path, len(text)) == text


def test_what_nobody_sees_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"one\r\ntwo\rthree\0\x07\tfour\x1b[0m")
    assert decode(path, 100) == "one\ntwo\nthree\tfour[0m"


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("ab".encode("utf-16") + b"\x00\xd8" + "cd".encode("utf-16-le"))
    decode(path, 100).encode("utf-8")


def test_more_text_than_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("word " * 1000)
    with pytest.raises(DocumentTooLong, match="4,999 characters"):
        decode(path, 4_999)


def test_bytes_of_no_language_still_have_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\x81\x8d\x8f\x90\x9d" * 10)
    assert decode(path, 100)
    assert detect_encoding(path)
