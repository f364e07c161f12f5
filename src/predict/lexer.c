/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/lexer.h"

#include "predict/lexer-scope.h"

#include <gio/gio.h>
#include <string.h>

#define TAB_COLUMNS 8
#define COMPRESSION_LEVEL 6

/* What means one of these is no name. */
#define WORD_LEADS (WORD_LOOP | WORD_CONDITIONAL | WORD_FUNCTION | WORD_IMPORT | WORD_OPEN | WORD_CLOSE | WORD_PLAIN)

enum await {
    AWAIT_NOTHING,
    AWAIT_NAME,   /* of the function that begins here */
    AWAIT_IMPORT, /* the name of what is imported */
};

struct lexer {
    struct text text;
    struct lexer_words words;
    struct scopes scopes;
    struct code_traits *traits;
    struct code_imports *imports;
    guint brackets;

    gboolean is_first; /* nothing of the statement was seen */
    gint column;       /* of its line */
    char previous;     /* the last byte of what was seen before; '\0' at the start of a line */
    gboolean follows_value;
    gboolean follows_new;
    gboolean follows_do; /* the end of its body */
    gboolean has_do;     /* the loop's own `do` is still to come */

    enum await await;
    guint await_brackets;
    gboolean has_more_imports; /* behind a comma */
    struct text_slice *name;   /* of the function that begins here; NULL: nobody wants it */

    struct text_slice assigned;  /* the last name that something was given to */
    struct text_slice candidate; /* a function, if a block follows its brackets */
    guint candidate_brackets;
    gboolean candidate_is_closed, candidate_is_call;
};

/* A word, and what surrounds it. */
struct word {
    struct text_slice name;
    guint means;
    char next;       /* the next byte that is no blank, on its line */
    gboolean is_led; /* blanks stand before that */
};

static gboolean lexer_has(const struct lexer *lexer, enum lexer_form form)
{
    return (lexer->text.language->forms & form) != 0;
}

static gboolean word_is(const struct word *word, const char *text)
{
    return word->name.length == strlen(text) && memcmp(word->name.text, text, word->name.length) == 0;
}

static gboolean word_is_one_of(const struct word *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (word_is(word, *words))
            return TRUE;
    return FALSE;
}

/* Imports */

static gboolean imports_has(const struct code_imports *imports, const char *name)
{
    for (guint i = 0; i < imports->count; i++)
        if (strcmp(imports->names[i], name) == 0)
            return TRUE;
    return FALSE;
}

static void imports_add(struct code_imports *imports, const char *text, gsize length)
{
    if (imports == NULL || imports->count == CODE_IMPORTS_MAX || length == 0 || length > CODE_IMPORT_LENGTH_MAX ||
        !g_utf8_validate(text, (gssize)length, NULL))
        return;
    char *name = imports->names[imports->count];
    memcpy(name, text, length);
    name[length] = '\0';
    imports->count += imports_has(imports, name) ? 0 : 1;
}

static void lexer_import(struct lexer *lexer, const char *text, gsize length)
{
    lexer->traits->imports++;
    if (length > 0 && text[0] != '.' && text[0] != '/' &&
        memchr(text, '$', length) == NULL) /* a file of the program's own */
        imports_add(lexer->imports, text, length);
    if (lexer->brackets <= lexer->await_brackets ||
        lexer_has(lexer, BLOCK_PARENTHESES)) /* else it is one of several in brackets */
        lexer->await = AWAIT_NOTHING;
    lexer->has_more_imports = TRUE;
}

static gboolean lexer_is_import_byte(char c)
{
    return g_ascii_isalnum(c) || strchr("_.:/\\-@", c) != NULL || (c & 0x80) != 0;
}

/* The name goes on where words end: a.b, a::b, a\b. What Haskell takes of it does not concern us. */
static void lexer_import_path(struct lexer *lexer, const struct word *word)
{
    const char *from = word->name.text, *end = from, *first;
    while (end < lexer->text.end && *end != '\0' && lexer_is_import_byte(*end))
        end++;
    for (first = from; first < end && *first != '.' && *first != ':';)
        first++;
    text_take(&lexer->text, MAX(end, lexer->text.at), TRUE);
    if (lexer_has(lexer, FORM_EQUATIONS))
        text_take(&lexer->text, text_line_end(&lexer->text), TRUE);
    if (lexer_has(lexer, FORM_IMPORT_FIRST))
        end = first;
    while (end > from && strchr(".:/\\-", end[-1]) != NULL)
        end--;
    lexer_import(lexer, from, (gsize)(end - from));
}

static void lexer_import_word(struct lexer *lexer, const struct word *word)
{
    static const char *const skipped[] = {"static", "qualified", "type", "safe", "crate", "quote", "global", NULL};
    if (word->name.text[0] == '$' || (word->next == ':' && lexer_has(lexer, FORM_BARE))) {
        lexer->await = AWAIT_NOTHING;
    } else if ((word->means & WORD_IMPORT) != 0 && lexer->previous == '.') { /* from . import x */
        lexer->traits->imports++;
        lexer->await = AWAIT_NOTHING;
    } else if (!lexer_has(lexer, FORM_IMPORT_STRINGS) && !word_is_one_of(word, skipped)) {
        lexer_import_path(lexer, word);
    }
}

static void lexer_await_import(struct lexer *lexer)
{
    lexer->await = AWAIT_IMPORT;
    lexer->await_brackets = lexer->brackets;
}

static void lexer_begin_import(struct lexer *lexer, const struct word *word)
{
    const gboolean is_called = (word->means & WORD_CALLED) != 0;
    if (lexer->has_more_imports) { /* from a import b */
        lexer->has_more_imports = FALSE;
        return;
    }
    if (lexer_has(lexer, BLOCK_INDENTED | BLOCK_TYPED) && !is_called && !lexer->is_first)
        return;
    if (lexer_has(lexer, FORM_NAMED) && !lexer_has(lexer, FORM_IMPORT_STRINGS | FORM_COMMANDS) &&
        scopes_has_function(&lexer->scopes))
        return;
    lexer_await_import(lexer);
}

/* Functions */

static void lexer_begin_function(struct lexer *lexer, const struct word *word)
{
    const gboolean is_receiver = lexer->is_first && word_is(word, "func"); /* Go: func (r T) name() */
    lexer->await = AWAIT_NAME;
    lexer->await_brackets = lexer->brackets;
    lexer->name = NULL;
    if (word_is(word, "let")) /* a function only with parameters */
        return;
    if (word_is(word, "define") && word->next != '(') {
        lexer->await = AWAIT_NOTHING;
        return;
    }
    lexer->traits->functions++;
    if (lexer_has(lexer, BLOCK_INDENTED))
        lexer->name = scopes_open_function(&lexer->scopes, lexer->brackets, lexer->column);
    else if (lexer_has(lexer, BLOCK_PARENTHESES) || (word->means & WORD_OPEN) != 0)
        lexer->name = scopes_open_function(&lexer->scopes, lexer->brackets, -1);
    else
        lexer->name = scopes_expect_function(&lexer->scopes, lexer->brackets);
    if (word->next == '(' && !is_receiver && !lexer_has(lexer, BLOCK_PARENTHESES)) {
        lexer->await = AWAIT_NOTHING;
        if (lexer->name != NULL)
            *lexer->name = lexer->assigned;
    }
}

static void lexer_let(struct lexer *lexer, const struct word *word)
{
    const gboolean has_parameter = g_ascii_isalnum(word->next) || (word->next != '\0' && strchr("_(~?{", word->next));
    if (!has_parameter)
        return;
    lexer->traits->functions++;
    lexer->name = scopes_open_function(&lexer->scopes, lexer->brackets, lexer->column);
}

/* Of A.b and A:b, the last component. */
static void lexer_function_name(struct lexer *lexer, const struct word *word)
{
    const char next = text_peek(&lexer->text, 0), behind = text_peek(&lexer->text, 1);
    if ((word->means & WORD_PLAIN) != 0 ||
        (lexer->brackets > lexer->await_brackets && !lexer_has(lexer, BLOCK_PARENTHESES)))
        return;
    if ((next == '.' || next == ':') && (g_ascii_isalpha(behind) || behind == '_'))
        return;
    lexer->await = AWAIT_NOTHING;
    if (lexer->name == NULL && lexer_has(lexer, BLOCK_INDENTED))
        lexer_let(lexer, word);
    if (lexer->name != NULL)
        *lexer->name = word->name;
}

/* The first name of a line, without indentation: it defines a function, goes on with it, or ends it. TRUE when that is all there is to it. */
static gboolean lexer_equation(struct lexer *lexer, const struct word *word)
{
    const struct scopes *scopes = &lexer->scopes;
    if (!lexer_has(lexer, FORM_EQUATIONS) || !lexer->is_first || lexer->column != 0 || lexer->brackets > 0)
        return FALSE;
    if (scopes->count > 0 && scopes_is_named(scopes, &scopes->open[0].function, &word->name))
        return TRUE;
    scopes_close_all(&lexer->scopes);
    const gboolean has_type = word->next == ':' && lexer_has(lexer, FORM_BARE);
    if (word->means != 0 || !(has_type || (word->next == '(' && !lexer_has(lexer, FORM_BARE))))
        return FALSE;
    lexer->traits->functions++;
    struct text_slice *name = scopes_open_function(&lexer->scopes, 0, -1);
    *name = word->name;
    return TRUE;
}

/* Blocks */

static void lexer_open(struct lexer *lexer)
{
    if (lexer->candidate.text != NULL && lexer->candidate_is_closed && lexer->candidate_brackets == lexer->brackets) {
        lexer->traits->functions++;
        lexer->traits->calls -= lexer->candidate_is_call ? 1 : 0;
        *scopes_expect_function(&lexer->scopes, lexer->brackets) = lexer->candidate;
        lexer->candidate.text = NULL;
    }
    scopes_open(&lexer->scopes, lexer->brackets);
}

/* In typed languages, only the end of what opened a block ends one; its name goes with it. */
static void lexer_close_word(struct lexer *lexer)
{
    const struct scopes *scopes = &lexer->scopes;
    const guint around = scopes->count > 0 ? scopes->open[scopes->count - 1].brackets : 0;
    if (lexer->brackets > around && !lexer->is_first) /* a[end] */
        return;
    lexer->brackets = MIN(lexer->brackets, around);
    if (lexer_has(lexer, BLOCK_TYPED)) {
        const char *from = lexer->text.at, *end = from; /* behind the blanks */
        while (end < lexer->text.end && (g_ascii_isalnum(*end) || *end == '_'))
            end++;
        const guint means = lexer_words_find(&lexer->words, from, (gsize)(end - from));
        text_take(&lexer->text, end, TRUE);
        if (end > from && means != 0 && (means & WORD_OPEN) == 0)
            return;
    }
    lexer->follows_do = scopes_close(&lexer->scopes);
}

/* Whether the word stands behind what it is a condition of: `x while y`. */
static gboolean lexer_is_modifier(const struct lexer *lexer)
{
    return lexer_has(lexer, FORM_MODIFIERS) && lexer->follows_value;
}

static void lexer_loop(struct lexer *lexer, const struct word *word)
{
    if (lexer->follows_do && word_is(word, "while"))
        return;
    const gboolean is_inner = lexer->brackets > 0 && (lexer_has(lexer, BLOCK_INDENTED) ||
                                                      ((word->means & WORD_OPEN) != 0 && lexer->follows_value));
    if (is_inner || lexer_is_modifier(lexer)) {
        scopes_count_loop(&lexer->scopes);
        /* a comprehension makes a list */
        lexer->traits->allocations += lexer_has(lexer, FORM_MODIFIERS | FORM_BARE | FORM_EQUATIONS) ? 0 : 1;
    } else if (lexer_has(lexer, BLOCK_INDENTED)) {
        scopes_open_loop(&lexer->scopes, lexer->brackets, lexer->column);
    } else if (lexer_has(lexer, BLOCK_PARENTHESES)) {
        if (lexer->previous == '(')
            scopes_open_loop(&lexer->scopes, lexer->brackets, -1);
    } else if ((word->means & WORD_OPEN) != 0) {
        scopes_open_loop(&lexer->scopes, lexer->brackets, -1);
        lexer->has_do = lexer_has(lexer, FORM_MODIFIERS);
    } else {
        scopes_expect_loop(&lexer->scopes, lexer->brackets, word_is(word, "do") || word_is(word, "repeat"));
    }
}

/* A method that runs its block many times. */
static void lexer_iterator(struct lexer *lexer, const struct word *word)
{
    if (lexer_has(lexer, FORM_MODIFIERS) && lexer->previous != '.' && !word_is(word, "loop"))
        return;
    scopes_expect_loop(&lexer->scopes, lexer->brackets, FALSE);
    lexer->scopes.is_anyhow = TRUE;
    lexer->scopes.body_lines = 1;
}

static void lexer_open_word(struct lexer *lexer, const struct word *word)
{
    const gboolean is_own_do = lexer->has_do && word_is(word, "do");
    const gboolean is_condition = (word->means & WORD_CONDITIONAL) != 0;
    if (is_own_do)
        lexer->has_do = FALSE;
    else if (!is_condition || !lexer_is_modifier(lexer))
        lexer_open(lexer);
}

/* Words */

static void lexer_keyword(struct lexer *lexer, const struct word *word)
{
    const gboolean is_head = !lexer_has(lexer, BLOCK_PARENTHESES) || lexer->previous == '(';
    if ((word->means & WORD_CLOSE) != 0)
        lexer_close_word(lexer);
    if ((word->means & WORD_CONDITIONAL) != 0 && is_head)
        lexer->traits->conditionals++;
    if ((word->means & WORD_ALLOCATION) != 0)
        lexer->traits->allocations++;
    if ((word->means & WORD_THREAD) != 0)
        lexer->traits->threads++;
    if ((word->means & WORD_LOOP) != 0)
        lexer_loop(lexer, word);
    else if ((word->means & WORD_ITERATOR) != 0)
        lexer_iterator(lexer, word);
    if ((word->means & WORD_FUNCTION) != 0 && is_head)
        lexer_begin_function(lexer, word);
    else if ((word->means & WORD_OPEN) != 0 && (word->means & WORD_LOOP) == 0)
        lexer_open_word(lexer, word);
    if ((word->means & WORD_IMPORT) != 0)
        lexer_begin_import(lexer, word);
}

static gboolean lexer_is_letter(const struct lexer *lexer, char c)
{
    return g_ascii_isalnum(c) || c == '_' || (c & 0x80) != 0 ||
           (c != '\0' && lexer->text.language->letters != NULL && strchr(lexer->text.language->letters, c) != NULL);
}

/* What stands behind the word, and blanks, can be an argument of it. */
static gboolean lexer_has_argument(const struct lexer *lexer, const struct word *word)
{
    const char *from = lexer->text.at, *end = from;
    if (!word->is_led || word->next == '\0')
        return FALSE;
    while (end < lexer->text.end && lexer_is_letter(lexer, *end))
        end++;
    if (end == from)
        return strchr("\"'$@[", word->next) != NULL;
    return (lexer_words_find(&lexer->words, from, (gsize)(end - from)) & WORD_LEADS) == 0;
}

static gboolean lexer_is_call(const struct lexer *lexer, const struct word *word)
{
    if (lexer_has(lexer, BLOCK_PARENTHESES))
        return lexer->previous == '(';
    if (lexer_has(lexer, FORM_COMMANDS))
        return !lexer->follows_value && word->next != '=' && word->next != '(';
    if (word->next == '(' && word->is_led && word->name.text[0] == '$') /* for my $i (...) */
        return FALSE;
    if (word->next == '(')
        return !lexer_has(lexer, FORM_TOP_NAMED) || scopes_has_function(&lexer->scopes);
    return lexer_has(lexer, FORM_BARE) && !lexer->follows_value && lexer_has_argument(lexer, word);
}

/* Whether `name (...) {` would define it. */
static void lexer_note_candidate(struct lexer *lexer, const struct word *word, gboolean is_call)
{
    const gboolean may_define =
        lexer_has(lexer, FORM_NAMED) || (lexer_has(lexer, FORM_TOP_NAMED) && !scopes_has_function(&lexer->scopes));
    if (word->next != '(' || !may_define || lexer->follows_new || lexer->previous == '.')
        return;
    lexer->candidate = word->name;
    lexer->candidate_brackets = lexer->brackets;
    lexer->candidate_is_closed = FALSE;
    lexer->candidate_is_call = is_call;
}

/* Something is given to the name: f = function, f <- function, f: function. */
static void lexer_note_assigned(struct lexer *lexer, const struct word *word)
{
    const char *at = lexer->text.at, *end = MIN(lexer->text.end, at + 4);
    while (at < end && *at == ' ')
        at++;
    const char first = at < lexer->text.end ? *at : '\0', second = at + 1 < lexer->text.end ? at[1] : '\0';
    if ((first == '=' && second != '=' && second != '>') || (first == ':' && lexer->brackets == 0) ||
        (first == '<' && second == '-'))
        lexer->assigned = word->name;
}

static void lexer_plain_name(struct lexer *lexer, const struct word *word)
{
    const gboolean is_call = lexer_is_call(lexer, word);
    lexer->traits->calls += is_call ? 1 : 0;
    const char *before = word->name.text - lexer->text.start >= 2 ? word->name.text - 2 : "  ";
    const gboolean is_of_result = before[0] == ')' && before[1] == '.'; /* super().name() */
    if ((is_call || lexer_has(lexer, FORM_BARE)) && !is_of_result)
        scopes_note_call(&lexer->scopes, &word->name);
    lexer_note_candidate(lexer, word, is_call);
    lexer_note_assigned(lexer, word);
}

/* Which of the meanings of a word it has here. */
static guint lexer_meaning(const struct lexer *lexer, const struct word *word)
{
    guint means = lexer_words_find(&lexer->words, word->name.text, word->name.length);
    const gboolean is_key =
        lexer_has(lexer, FORM_BARE) && text_peek(&lexer->text, 0) == ':' && text_peek(&lexer->text, 1) != ':';
    if ((means & WORD_CALLED) != 0 && word->next != '(')
        means &= WORD_PLAIN | WORD_CLOSE | WORD_OPEN;
    if (lexer->previous == '.' && !g_ascii_isspace(word->name.text[-1]))
        means &= WORD_ITERATOR | WORD_ALLOCATION | WORD_THREAD | WORD_CALLED;
    return is_key ? 0 : means;
}

static void lexer_read_word(struct lexer *lexer, struct word *ret_word)
{
    struct text *text = &lexer->text;
    const char *from = text->at, *end = from + 1;
    while (end < text->end && lexer_is_letter(lexer, *end))
        end++;
    text_take(text, end, TRUE);
    while (end < text->end && (*end == ' ' || *end == '\t'))
        end++;
    ret_word->name = (struct text_slice){from, (gsize)(text->at - from)};
    ret_word->next = end < text->end && *end != '\n' ? *end : '\0';
    ret_word->is_led = end > text->at;
    ret_word->means = lexer_meaning(lexer, ret_word);
    text->at = end; /* blanks */
}

/* A value stands before what follows, unless the word is one that something has to follow. */
static gboolean lexer_is_value(const struct lexer *lexer, const struct word *word)
{
    static const char *const joining[] = {"and", "or", "not", "then", "else", "in", "ensure", NULL};
    static const char *const naming[] = {"for", "select", "case", "function", NULL};
    if (lexer_has(lexer, FORM_COMMANDS) && word_is_one_of(word, naming))
        return TRUE;
    if ((word->means & (WORD_CLOSE | WORD_CALLED | WORD_ITERATOR)) != 0)
        return TRUE;
    if ((word->means & WORD_PLAIN) != 0 && lexer_has(lexer, FORM_MODIFIERS))
        return !word_is_one_of(word, joining);
    return (word->means & WORD_LEADS) == 0;
}

static void lexer_any_word(struct lexer *lexer, const struct word *word, gboolean is_name)
{
    lexer_keyword(lexer, word);
    if (is_name)
        lexer_plain_name(lexer, word);
}

static void lexer_word(struct lexer *lexer)
{
    struct word word;
    lexer_read_word(lexer, &word);
    const gboolean is_name = (word.means & WORD_LEADS) == 0;
    if (!is_name)
        lexer->candidate.text = NULL;
    if (lexer->await == AWAIT_IMPORT)
        lexer_import_word(lexer, &word);
    else if (lexer->await == AWAIT_NAME)
        lexer_function_name(lexer, &word);
    else if (!lexer_equation(lexer, &word))
        lexer_any_word(lexer, &word, is_name);
    lexer->follows_value = lexer_is_value(lexer, &word);
    lexer->follows_new = word_is(&word, "new");
    lexer->follows_do = lexer->follows_do && (word.means & WORD_CLOSE) != 0;
    lexer->is_first = lexer->is_first && word_is(&word, "async");
    lexer->previous = 'a';
}

/* Punctuation */

static void lexer_open_bracket(struct lexer *lexer, char c)
{
    lexer->brackets++;
    if (lexer->await == AWAIT_NAME && c == '(' && !lexer_has(lexer, BLOCK_PARENTHESES) && lexer->name == NULL)
        lexer->await = AWAIT_NOTHING;
    if (lexer->has_more_imports && lexer_has(lexer, BLOCK_PARENTHESES)) /* (:require [a :as b] [c]) */
        lexer->await = AWAIT_IMPORT;
}

static void lexer_close_bracket(struct lexer *lexer)
{
    lexer->brackets -= lexer->brackets > 0 ? 1 : 0;
    lexer->candidate_is_closed = lexer->candidate_is_closed || lexer->brackets == lexer->candidate_brackets;
    if (lexer->await == AWAIT_IMPORT && lexer->brackets <= lexer->await_brackets)
        lexer->await = AWAIT_NOTHING;
    lexer->has_more_imports = lexer->has_more_imports && lexer->brackets >= lexer->await_brackets;
    if (lexer_has(lexer, BLOCK_PARENTHESES))
        scopes_close_brackets(&lexer->scopes, lexer->brackets);
}

static void lexer_brace(struct lexer *lexer, char c)
{
    if (!lexer_has(lexer, FORM_IMPORT_STRINGS)) /* import {a} from "b" */
        lexer->await = AWAIT_NOTHING;
    lexer->has_more_imports = FALSE;
    if (c == '{')
        lexer_open(lexer);
    else
        lexer->follows_do = scopes_close(&lexer->scopes);
}

static void lexer_semicolon(struct lexer *lexer)
{
    struct scopes *scopes = &lexer->scopes;
    lexer->await = AWAIT_NOTHING;
    lexer->has_more_imports = FALSE;
    if (!lexer_has(lexer, FORM_SEMICOLONS) && scopes->body.loops > 0 && lexer->brackets == scopes->body.brackets)
        scopes_drop_loop(scopes);
    if (lexer->text.language->opens == NULL && scopes->head.is_function && lexer->brackets == scopes->head.brackets)
        scopes_drop_function(scopes);
}

static void lexer_arrow(struct lexer *lexer)
{
    lexer->traits->functions++;
    *scopes_expect_function(&lexer->scopes, lexer->brackets) = lexer->assigned;
    lexer->scopes.is_arrow = TRUE;
}

static void lexer_punctuation(struct lexer *lexer)
{
    const char c = *lexer->text.at, next = text_peek(&lexer->text, 1);
    const gboolean is_brace = c == '{' || c == '}';
    const gboolean is_bracket = c == '(' || c == '[' || c == ')' || c == ']' ||
                                (is_brace && lexer_has(lexer, BLOCK_INDENTED | BLOCK_PARENTHESES));
    if (is_bracket && (c == '(' || c == '[' || c == '{'))
        lexer_open_bracket(lexer, c);
    else if (is_bracket)
        lexer_close_bracket(lexer);
    else if (is_brace)
        lexer_brace(lexer, c);
    else if (c == ';')
        lexer_semicolon(lexer);
    else if (c == '=' && next == '>' && lexer_has(lexer, FORM_ARROW))
        lexer_arrow(lexer);
    else if (c == '.' && next == ' ' && !lexer->follows_value && lexer_has(lexer, FORM_COMMANDS))
        lexer_await_import(lexer);
    else if (c == ',' && lexer->has_more_imports && lexer->brackets == lexer->await_brackets)
        lexer->await = AWAIT_IMPORT;
    if (lexer->candidate_is_closed && strchr(":<>|&?*[](),", c) == NULL)
        lexer->candidate.text = NULL;
    const gboolean is_two = (c == '-' || c == '=') && next == '>';
    text_take(&lexer->text, lexer->text.at + (is_two || (c == ':' && next == ':') ? 2 : 1), TRUE);
    lexer->follows_value =
        lexer_has(lexer, FORM_COMMANDS) ? strchr(";|&(){}`!", c) == NULL : c == ')' || c == ']' || c == '}';
    lexer->follows_new = FALSE;
    lexer->follows_do = lexer->follows_do && c == '}';
    lexer->is_first = FALSE;
    lexer->previous = c == '-' && next == '>' ? '.' : c;
}

/* Text */

static void lexer_new_line(struct lexer *lexer)
{
    const gboolean has_code = lexer->text.has_code;
    text_end_line(&lexer->text);
    if (has_code)
        scopes_end_line(&lexer->scopes, lexer->brackets);
    lexer->is_first = lexer->brackets == 0 || !lexer_has(lexer, BLOCK_INDENTED);
    lexer->follows_value = lexer->has_do = FALSE;
    lexer->previous = '\0';
    if (lexer->await == AWAIT_NAME || lexer->brackets <= lexer->await_brackets)
        lexer->await = AWAIT_NOTHING;
    lexer->has_more_imports = lexer->has_more_imports && lexer->await != AWAIT_NOTHING;
}

/* Where the line that stands at its first word is indented to; what is indented as far ends before it. */
static void lexer_indent(struct lexer *lexer)
{
    const char *at = lexer->text.at;
    while (at > lexer->text.start && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    gint column = 0;
    for (; at < lexer->text.at; at++)
        column += *at == '\t' ? TAB_COLUMNS - column % TAB_COLUMNS : 1;
    lexer->column = column;
    if (lexer_has(lexer, BLOCK_INDENTED))
        scopes_close_indented(&lexer->scopes, column);
}

/* #include <name>, #pragma omp parallel; the rest of a directive is no code that runs. */
static gboolean lexer_directive(struct lexer *lexer)
{
    if (*lexer->text.at != '#' || !lexer->is_first || !lexer_has(lexer, FORM_DIRECTIVES))
        return FALSE;
    const char *from = lexer->text.at + 1, *end = text_line_end(&lexer->text);
    while (end < lexer->text.end && end[-1] == '\\') {
        const char *next = memchr(end + 1, '\n', (gsize)(lexer->text.end - end - 1));
        end = next != NULL ? next : lexer->text.end;
    }
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    const gsize length = (gsize)(end - from);
    const gsize word = length > 7 && memcmp(from, "include", 7) == 0  ? 7
                       : length > 6 && memcmp(from, "import", 6) == 0 ? 6
                                                                      : 0;
    const char *open = word > 0 ? memchr(from, '<', length) : NULL;
    const char *name = open == NULL && word > 0 ? memchr(from, '"', length) : open;
    const char *close = name != NULL ? memchr(name + 1, open != NULL ? '>' : '"', (gsize)(end - name - 1)) : NULL;
    if (close != NULL)
        lexer_import(lexer, name + 1, (gsize)(close - name - 1));
    lexer->has_more_imports = FALSE;
    if (memmem(from, length, "omp parallel", strlen("omp parallel")) != NULL)
        lexer->traits->threads++;
    text_take(&lexer->text, end, TRUE);
    return TRUE;
}

static void lexer_string(struct lexer *lexer, const struct text_slice *content)
{
    if (lexer->await == AWAIT_IMPORT)
        lexer_import(lexer, content->text, content->length);
    else if (lexer->await == AWAIT_NAME)
        lexer->await = AWAIT_NOTHING;
    lexer->follows_value = TRUE;
    lexer->is_first = lexer->follows_new = lexer->follows_do = FALSE;
    lexer->previous = '"';
}

static void lexer_number(struct lexer *lexer)
{
    const char *end = lexer->text.at + 1;
    while (end < lexer->text.end && (g_ascii_isalnum(*end) || *end == '_' ||
                                     (*end == '.' && end + 1 < lexer->text.end && g_ascii_isdigit(end[1]))))
        end++;
    text_take(&lexer->text, end, TRUE);
    lexer->follows_value = TRUE;
    lexer->is_first = lexer->follows_new = lexer->follows_do = FALSE;
    lexer->previous = '0';
}

static gboolean lexer_begins_word(const struct lexer *lexer)
{
    const char c = text_peek(&lexer->text, 0), next = text_peek(&lexer->text, 1);
    const gboolean is_named = g_ascii_isalpha(next) || next == '_';
    return g_ascii_isalpha(c) || c == '_' || (c & 0x80) != 0 || ((c == '$' || c == '@') && is_named) ||
           (c == ':' && is_named && lexer_has(lexer, BLOCK_PARENTHESES));
}

static void lexer_token(struct lexer *lexer)
{
    struct text_slice content;
    if (lexer->is_first && lexer->previous == '\0')
        lexer_indent(lexer);
    if (text_skip_string(&lexer->text, lexer->follows_value, &content))
        lexer_string(lexer, &content);
    else if (lexer_begins_word(lexer))
        lexer_word(lexer);
    else if (g_ascii_isdigit(*lexer->text.at))
        lexer_number(lexer);
    else
        lexer_punctuation(lexer);
}

static void lexer_step(struct lexer *lexer)
{
    const guchar c = (guchar)*lexer->text.at;
    if (c == '\n')
        lexer_new_line(lexer);
    else if (c <= ' ')
        lexer->text.at++;
    else if (c == '\\' && text_peek(&lexer->text, 1) == '\n')
        text_take(&lexer->text, lexer->text.at + 2, TRUE);
    else if (!lexer_directive(lexer) && !text_skip_comment(&lexer->text))
        lexer_token(lexer);
}

/* Compression */

static gsize compressor_drain(GConverter *compressor, const char *source, gsize length)
{
    char out[8192];
    gsize total = 0, read, written;
    GConverterResult result;
    do {
        result = g_converter_convert(compressor, source, length, out, sizeof out, G_CONVERTER_INPUT_AT_END, &read,
                                     &written, NULL);
        if (result == G_CONVERTER_ERROR)
            return total;
        source += read;
        length -= read;
        total += written;
    } while (result != G_CONVERTER_FINISHED);
    return total;
}

static gint64 compressed_bytes_of(const char *source, gsize length)
{
    const gsize sample = MIN(length, CODE_LEXED_MAX);
    if (sample == 0)
        return 0;
    g_autoptr(GZlibCompressor) compressor = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, COMPRESSION_LEVEL);
    const gsize bytes = compressor_drain(G_CONVERTER(compressor), source, sample);
    return (gint64)((double)bytes * ((double)length / (double)sample));
}

void code_lex(struct code_traits *ret, struct code_imports *ret_imports, const char *language, const char *source,
              gsize length)
{
    const gsize lexed = MIN(length, CODE_LEXED_MAX);
    struct lexer lexer;
    memset(&lexer, 0, sizeof lexer);
    memset(ret, 0, sizeof *ret);
    if (ret_imports != NULL)
        ret_imports->count = 0;
    lexer.traits = lexer.scopes.traits = ret;
    lexer.imports = ret_imports;
    lexer.is_first = TRUE;
    text_init(&lexer.text, lexer_language_of(language), source, lexed);
    lexer_words_init(&lexer.words, lexer.text.language);
    lexer.scopes.ignores_case = lexer.words.ignores_case;
    while (lexer.text.at < lexer.text.end)
        lexer_step(&lexer);
    scopes_close_all(&lexer.scopes);
    ret->lines = lexer.text.lines + (lexer.text.has_code ? 1 : 0);
    ret->compressed_bytes = compressed_bytes_of(source, length);
}

void code_traits_of_source(struct code_traits *ret, const char *language, const char *source, gsize length)
{
    code_lex(ret, NULL, language, source, length);
}
