/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/lexer-text.h"

#include <string.h>

#define CHARACTER_MAX 12               /* '\u{10FFFF}' */
#define HEREDOC_MAX 8                  /* what stands before its word */
#define DELIMITER_MAX 16               /* of C++'s raw strings */
#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* of UTF-8: editors on Windows begin a file with it */

void text_init(struct text *text, const struct lexer_language *language, const char *start, gsize length)
{
    const gsize marked = strlen(BYTE_ORDER_MARK);
    const char *first = length >= marked && memcmp(start, BYTE_ORDER_MARK, marked) == 0 ? start + marked : start;
    *text = (struct text){.start = first, .at = first, .end = start + length, .language = language};
}

static gboolean text_has(const struct text *text, enum lexer_form form)
{
    return (text->language->forms & form) != 0;
}

char text_peek(const struct text *text, gsize offset)
{
    return offset < (gsize)(text->end - text->at) ? text->at[offset] : '\0';
}

gboolean text_is_at(const struct text *text, const char *word)
{
    const gsize length = strlen(word);
    return (gsize)(text->end - text->at) >= length && memcmp(text->at, word, length) == 0;
}

static gboolean text_is_line_start(const struct text *text)
{
    return text->at == text->start || text->at[-1] == '\n';
}

/* The end of the line that `from` is in. */
static const char *text_line_end_of(const struct text *text, const char *from)
{
    const char *end = memchr(from, '\n', (gsize)(text->end - from));
    return end != NULL ? end : text->end;
}

const char *text_line_end(const struct text *text)
{
    return text_line_end_of(text, text->at);
}

/* Behind the next `word` from `from` on, or the end. */
static const char *text_behind(const struct text *text, const char *from, const char *word)
{
    const char *found = memmem(from, (gsize)(text->end - from), word, strlen(word));
    return found != NULL ? found + strlen(word) : text->end;
}

void text_take(struct text *text, const char *to, gboolean is_code)
{
    for (; text->at < to; text->at++) {
        if (*text->at == '\n') {
            text->lines += text->has_code ? 1 : 0;
            text->has_code = FALSE;
        } else if (is_code && !g_ascii_isspace(*text->at)) {
            text->has_code = TRUE;
        }
    }
}

/* Behind the line that holds `word` alone, or NULL. */
static const char *text_heredoc_end(const struct text *text, const struct text_slice *word)
{
    for (const char *line = text->at; line < text->end;) {
        const char *end = text_line_end_of(text, line), *first = line;
        while (first < end && g_ascii_isspace(*first))
            first++;
        const char *behind = first + word->length;
        if ((gsize)(end - first) >= word->length && memcmp(first, word->text, word->length) == 0 &&
            (behind == end || !(g_ascii_isalnum(*behind) || *behind == '_')))
            return behind;
        line = end < text->end ? end + 1 : end;
    }
    return NULL;
}

void text_end_line(struct text *text)
{
    text_take(text, text->at + 1, TRUE);
    if (text->heredoc.text == NULL)
        return;
    const char *end = text_heredoc_end(text, &text->heredoc);
    text->has_no_heredocs = end == NULL;
    if (end != NULL)
        text_take(text, end, TRUE);
    text->heredoc.text = NULL;
}

/* From `from`, just behind the opener, on. */
static const char *text_nested_end(const struct text *text, const char *from, const char *opener, const char *closer)
{
    struct text inner = *text;
    guint depth = 1;
    inner.at = from;
    while (depth > 0 && inner.at < inner.end) {
        const gboolean closes = text_is_at(&inner, closer), opens = !closes && text_is_at(&inner, opener);
        depth = depth + (opens ? 1 : 0) - (closes ? 1 : 0);
        inner.at += closes ? strlen(closer) : opens ? strlen(opener) : 1;
    }
    return inner.at;
}

static gboolean text_skip_block(struct text *text, const char *opener, const char *closer)
{
    if (opener == NULL || !text_is_at(text, opener))
        return FALSE;
    const char *from = text->at + strlen(opener);
    const gboolean is_nested = text_has(text, FORM_NESTED) && strcmp(opener, closer) != 0;
    text_take(text, is_nested ? text_nested_end(text, from, opener, closer) : text_behind(text, from, closer), FALSE);
    return TRUE;
}

/* Perl's and Ruby's, both from the start of a line to one that begins with the end's word. */
static gboolean text_skip_document(struct text *text)
{
    if (!text_has(text, FORM_HASH_WORD) || text_peek(text, 0) != '=' || !text_is_line_start(text) ||
        !g_ascii_isalpha(text_peek(text, 1)))
        return FALSE;
    const char *end = text_behind(text, text->at, text_is_at(text, "=begin") ? "\n=end" : "\n=cut");
    text_take(text, text_line_end_of(text, end), FALSE);
    return TRUE;
}

/* [[ or [==[ at `offset`: the number of bytes of it, or 0. */
static gsize text_long_opener(const struct text *text, gsize offset)
{
    gsize length = 1;
    if (text_peek(text, offset) != '[')
        return 0;
    while (length < DELIMITER_MAX && text_peek(text, offset + length) == '=')
        length++;
    return text_peek(text, offset + length) == '[' ? length + 1 : 0;
}

static const char *text_long_end(const struct text *text, gsize offset, gsize opener)
{
    char closer[DELIMITER_MAX + 2] = "]";
    memset(closer + 1, '=', opener - 2);
    closer[opener - 1] = ']';
    return text_behind(text, text->at + offset + opener, closer);
}

static gboolean text_may_begin_word(const struct text *text)
{
    return text->at == text->start || g_ascii_isspace(text->at[-1]) || strchr(";&|(){}", text->at[-1]) != NULL;
}

static gboolean text_is_line_comment(const struct text *text)
{
    if (text_peek(text, 0) == '#' && text_has(text, FORM_HASH_WORD) && !text_may_begin_word(text))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(text->language->line_comments); i++)
        if (text->language->line_comments[i] != NULL && text_is_at(text, text->language->line_comments[i]))
            return TRUE;
    return FALSE;
}

gboolean text_skip_comment(struct text *text)
{
    const gsize opener = text_has(text, FORM_LONG) && text_is_at(text, "--") ? text_long_opener(text, 2) : 0;
    if (opener > 0) {
        text_take(text, text_long_end(text, 2, opener), FALSE);
        return TRUE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(text->language->block_comments); i++)
        if (text_skip_block(text, text->language->block_comments[i][0], text->language->block_comments[i][1]))
            return TRUE;
    if (text_skip_document(text))
        return TRUE;
    if (!text_is_line_comment(text))
        return FALSE;
    text_take(text, text_line_end(text), FALSE);
    return TRUE;
}

/* Takes the string up to `end`, which is behind its closing quote of `quote` bytes. */
static gboolean text_take_string(struct text *text, gsize opener, const char *end, gsize closer,
                                 struct text_slice *ret_content)
{
    const char *content = MIN(text->at + opener, end);
    ret_content->text = content;
    ret_content->length = (gsize)(end - content) >= closer ? (gsize)(end - content) - closer : 0;
    text_take(text, end, TRUE);
    return TRUE;
}

/* Behind the closing quote; the end of the line in its place, unless strings span lines. */
static const char *text_quoted_end(const struct text *text, gsize opener, char quote, gboolean escapes,
                                   gboolean spans_lines)
{
    const char *at = text->at + opener;
    for (; at < text->end && *at != quote; at++) {
        if (*at == '\n' && !spans_lines)
            return at;
        if (*at == '\\' && escapes && at + 1 < text->end && at[1] != '\n')
            at++;
    }
    return MIN(at + 1, text->end);
}

static gboolean text_skip_triple(struct text *text, struct text_slice *ret_content)
{
    const gboolean is_double = text_is_at(text, "\"\"\"");
    if (!text_has(text, FORM_TRIPLE) || (!is_double && !(text_has(text, FORM_SINGLE) && text_is_at(text, "'''"))))
        return FALSE;
    return text_take_string(text, 3, text_behind(text, text->at + 3, is_double ? "\"\"\"" : "'''"), 3, ret_content);
}

/* 'x' and '\n', but neither a lifetime nor a quoted symbol. */
static gboolean text_skip_character(struct text *text, struct text_slice *ret_content)
{
    gsize length = 2;
    if (text_peek(text, 1) == '\\') {
        for (length = 3; length < CHARACTER_MAX && text_peek(text, length) != '\''; length++)
            ;
    } else {
        while ((text_peek(text, length) & 0xc0) == 0x80 && length < CHARACTER_MAX)
            length++;
    }
    return text_peek(text, length) == '\'' && text_peek(text, 1) != '\n' &&
           text_take_string(text, 1, text->at + length + 1, 1, ret_content);
}

static gboolean text_skip_quoted(struct text *text, struct text_slice *ret_content)
{
    const char quote = text_peek(text, 0);
    const gboolean spans_lines = text_has(text, FORM_MULTILINE) || quote == '`';
    const gboolean escapes =
        !text_has(text, FORM_PLAIN) && !(quote == '\'' && text_has(text, FORM_COMMANDS)) && quote != '`';
    if (text_skip_triple(text, ret_content))
        return TRUE;
    if (quote == '\'' && text_has(text, FORM_CHARACTER))
        return text_skip_character(text, ret_content);
    const enum lexer_form form = quote == '"' ? FORM_DOUBLE : quote == '\'' ? FORM_SINGLE : FORM_BACKTICK;
    return text_has(text, form) &&
           text_take_string(text, 1, text_quoted_end(text, 1, quote, escapes, spans_lines), 1, ret_content);
}

/* r"...", r#"..."#, br"..." */
static gboolean text_skip_rust_raw(struct text *text, struct text_slice *ret_content)
{
    char closer[DELIMITER_MAX + 2] = "\"";
    gsize at = text_peek(text, 0) == 'b' ? 1 : 0, hashes = 0;
    if (text_peek(text, at++) != 'r')
        return FALSE;
    for (; text_peek(text, at) == '#' && hashes < DELIMITER_MAX; at++)
        closer[++hashes] = '#';
    if (text_peek(text, at) != '"')
        return FALSE;
    return text_take_string(text, at + 1, text_behind(text, text->at + at + 1, closer), hashes + 1, ret_content);
}

static gboolean text_skip_cpp_raw(struct text *text, struct text_slice *ret_content)
{
    char closer[DELIMITER_MAX + 3] = ")";
    gsize length = 0;
    if (!text_is_at(text, "R\""))
        return FALSE;
    for (; length < DELIMITER_MAX && text_peek(text, 2 + length) > ' ' && text_peek(text, 2 + length) != '('; length++)
        closer[1 + length] = text_peek(text, 2 + length);
    if (text_peek(text, 2 + length) != '(')
        return FALSE;
    closer[1 + length] = '"';
    return text_take_string(text, length + 3, text_behind(text, text->at + length + 3, closer), length + 2,
                            ret_content);
}

static gboolean text_skip_prefixed(struct text *text, struct text_slice *ret_content)
{
    if (text_has(text, FORM_RUST_RAW) && text_skip_rust_raw(text, ret_content))
        return TRUE;
    if (text_has(text, FORM_CPP_RAW) && text_skip_cpp_raw(text, ret_content))
        return TRUE;
    if (text_has(text, FORM_VERBATIM) && (text_is_at(text, "@\"") || text_is_at(text, "@$\""))) {
        const gsize opener = text_peek(text, 1) == '"' ? 2 : 3;
        return text_take_string(text, opener, text_quoted_end(text, opener, '"', FALSE, TRUE), 1, ret_content);
    }
    const gsize opener = text_has(text, FORM_LONG) ? text_long_opener(text, 0) : 0;
    return opener > 0 && text_take_string(text, opener, text_long_end(text, 0, opener), opener, ret_content);
}

/* <<WORD, <<-"WORD", <<~WORD, <<<WORD: steps over it alone and notes the word. Only shells put a blank before it. */
static gboolean text_skip_heredoc(struct text *text, gboolean follows_value, struct text_slice *ret_content)
{
    if (!text_has(text, FORM_HEREDOC) || text->has_no_heredocs || !text_is_at(text, "<<"))
        return FALSE;
    gsize at = 2;
    const gboolean is_shell = text_has(text, FORM_COMMANDS);
    while (at < HEREDOC_MAX && strchr(is_shell ? "- \t" : "-~<", text_peek(text, at)) != NULL &&
           text_peek(text, at) != '\0')
        at++;
    at += strchr("\"'", text_peek(text, at)) != NULL && text_peek(text, at) != '\0' ? 1 : 0;
    gsize length = 0;
    while (g_ascii_isalnum(text_peek(text, at + length)) || text_peek(text, at + length) == '_')
        length++;
    const char first = text_peek(text, at);
    const gboolean is_word = is_shell ? g_ascii_isalpha(first) || first == '_' : g_ascii_isupper(first);
    if (!is_word || (follows_value && !is_shell && text_peek(text, 2) == first && g_ascii_isalpha(first)))
        return FALSE;
    text->heredoc = (struct text_slice){text->at + at, length};
    *ret_content = text->heredoc;
    text_take(text, text->at + at + length, TRUE);
    if (text_peek(text, 0) == '"' || text_peek(text, 0) == '\'')
        text_take(text, text->at + 1, TRUE);
    return TRUE;
}

/* Up to the slash that is not in brackets; what has none on its line is taken to the line's end, so that no line is looked at twice. */
static gboolean text_skip_regex(struct text *text, gboolean follows_value, struct text_slice *ret_content)
{
    if (!text_has(text, FORM_REGEX) || follows_value || text_peek(text, 0) != '/' || text_peek(text, 1) == ' ')
        return FALSE;
    const char *at = text->at + 1;
    for (gboolean in_brackets = FALSE; at < text->end && *at != '\n' && (*at != '/' || in_brackets); at++) {
        if (*at == '\\' && at + 1 < text->end && at[1] != '\n')
            at++;
        else if (*at == '[' || *at == ']')
            in_brackets = *at == '[';
    }
    const gboolean is_closed = at < text->end && *at == '/';
    return text_take_string(text, 1, is_closed ? at + 1 : at, is_closed ? 1 : 0, ret_content);
}

/* Behind the part of q(...) that begins at `from`, on its delimiter; brackets nest. */
static const char *text_delimited_end(const struct text *text, const char *from)
{
    const char open = *from, *pair = open != '\0' ? strchr("(){}[]<>", open) : NULL;
    const char close = pair != NULL ? pair[1] : open;
    guint depth = 1;
    const char *at = from + 1;
    for (; at < text->end && depth > 0; at++) {
        if (*at == '\\' && at + 1 < text->end)
            at++;
        else if (*at == close)
            depth--;
        else if (*at == open)
            depth++;
    }
    return at;
}

/* q(...), qw{...}, m/.../, s/.../.../ */
static gboolean text_skip_quote_like(struct text *text, struct text_slice *ret_content)
{
    static const char *const words[] = {"qq", "qw", "qr", "tr", "q", "m", "s", "y"};
    const char before = text->at > text->start ? text->at[-1] : ' ';
    if (!text_has(text, FORM_QUOTE_LIKE) || g_ascii_isalnum(before) || strchr("_$@%&>{", before) != NULL)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        const gsize length = strlen(words[i]);
        const char delimiter = text_is_at(text, words[i]) ? text_peek(text, length) : '\0';
        if (delimiter == '\0' || strchr("/|!{([<#~", delimiter) == NULL)
            continue;
        const char *end = text_delimited_end(text, text->at + length);
        const gboolean is_double = strchr("sy", words[i][0]) != NULL || words[i][0] == 't';
        if (is_double && strchr("{([<", delimiter) == NULL)
            end = text_delimited_end(text, end - 1);
        else if (is_double && end < text->end && *end != '\0' && strchr("{([<", *end) != NULL)
            end = text_delimited_end(text, end);
        return text_take_string(text, length + 1, end, 1, ret_content);
    }
    return FALSE;
}

gboolean text_skip_string(struct text *text, gboolean follows_value, struct text_slice *ret_content)
{
    const char first = text_peek(text, 0);
    if (first == '"' || first == '\'' || first == '`')
        return text_skip_quoted(text, ret_content);
    if (first == '/')
        return text_skip_regex(text, follows_value, ret_content);
    if (first == '<')
        return text_skip_heredoc(text, follows_value, ret_content);
    return text_skip_prefixed(text, ret_content) || text_skip_quote_like(text, ret_content);
}
