"""What language an answer is in matters, since refusals are known in English alone."""

import pytest

from safety_regions.models.languages import is_foreign, script_of


@pytest.mark.parametrize(
    "text",
    [
        "Es tut mir leid, das ist nicht gut.",
        "Lo siento, pero no es para usted.",
        "Je ne peux pas vous aider.",
        "Mi dispiace, non è per me che lo chiedi.",
        "Desculpe, não posso ajudar com uma resposta.",
        "Het spijt me, dat is niet goed.",
        "Przykro mi, to nie jest na temat.",
        "Jag kan inte svara på det.",
        "Нет, спасибо.",
        "できません。",
        "죄송합니다.",
        "<think>I think.</think>Das ist nicht gut.",
    ],
)
def test_answers_in_other_languages_are_foreign(text):
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42.",
        "Yes.",
        "I cannot help you with this.",
        "Say 'das ist gut' to him, and he will know what you mean.",
        "print(x); x += 1",
        "Ada Lovelace",
        "Mail: ada@site.de, bob@site.com, eve@site.es",
        "I.S.S.S.I.S.",
        "<think>Das ist nicht gut.</think>Fine.",
    ],
)
def test_english_and_what_has_no_language_are_not_foreign(text):
    assert not is_foreign(text)


@pytest.mark.parametrize(("text", "script"), [("abc где", ""), ("abcd где", "LATIN"), ("где", "CYRILLIC"), ("1", "")])
def test_script_is_that_of_more_than_half_of_the_letters(text, script):
    assert script_of(text) == script
