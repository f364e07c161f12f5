/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What the lexer has to know of a language: how its comments and strings look, how its blocks end, and the words that say something of what code
 * costs. Pure; any thread. */

enum lexer_form {
    /* Text that is no code. */
    FORM_DOUBLE = 1 << 0,      /* "..." */
    FORM_SINGLE = 1 << 1,      /* '...' */
    FORM_CHARACTER = 1 << 2,   /* 'x', and ' alone means something else */
    FORM_BACKTICK = 1 << 3,    /* `...` */
    FORM_TRIPLE = 1 << 4,      /* """...""", and '''...''' with FORM_SINGLE */
    FORM_MULTILINE = 1 << 5,   /* the above may span lines */
    FORM_PLAIN = 1 << 6,       /* a backslash means nothing in them */
    FORM_RUST_RAW = 1 << 7,    /* r#"..."# */
    FORM_CPP_RAW = 1 << 8,     /* R"x(...)x" */
    FORM_VERBATIM = 1 << 9,    /* @"..." */
    FORM_LONG = 1 << 10,       /* [==[...]==], as a comment behind -- */
    FORM_HEREDOC = 1 << 11,    /* <<WORD */
    FORM_REGEX = 1 << 12,      /* /.../ where a value may stand */
    FORM_QUOTE_LIKE = 1 << 13, /* q(...), m{...}, s/.../.../ */
    FORM_DIRECTIVES = 1 << 14, /* # at the start of a line, of which #include and #import are imports */
    FORM_NESTED = 1 << 15,     /* block comments nest */
    FORM_HASH_WORD = 1 << 16,  /* # begins a comment only where a word may begin */

    /* How blocks end. Without any: by braces, and by the words of `closes`. */
    BLOCK_INDENTED = 1 << 17, /* by a line that is indented no further */
    BLOCK_PARENTHESES = 1 << 18,
    BLOCK_TYPED = 1 << 19, /* END is followed by what ends; only loops and functions count as blocks */

    /* How things are written. */
    FORM_IGNORE_CASE = 1 << 20,
    FORM_NAMED = 1 << 21,          /* NAME(...) { defines a function, without a word for it */
    FORM_TOP_NAMED = 1 << 22,      /* the same, outside functions only; what looks like a call there is none */
    FORM_EQUATIONS = 1 << 23,      /* a name at the start of a line defines a function, if `:: ` or ( follows */
    FORM_ARROW = 1 << 24,          /* => begins a function */
    FORM_BARE = 1 << 25,           /* arguments need no parentheses */
    FORM_MODIFIERS = 1 << 26,      /* behind a value, `if` and `while` open nothing */
    FORM_COMMANDS = 1 << 27,       /* the first word of a command is a call */
    FORM_SEMICOLONS = 1 << 28,     /* a semicolon may stand between a loop's head and its body */
    FORM_IMPORT_STRINGS = 1 << 29, /* what is imported is named by a string alone */
    FORM_IMPORT_FIRST = 1 << 30,   /* of a dotted name, the first component is the library */
};

/* Lists are separated by blanks. A word that ends in ( counts only where it is called. */
struct lexer_language {
    const char *names; /* what the language is called in notifications */
    const char *line_comments[3];
    const char *block_comments[2][2];
    guint forms;         /* enum lexer_form */
    const char *letters; /* of names, besides letters, digits and _ */
    const char *loops;
    const char *iterators; /* loops by a method, whose body is the next block */
    const char *functions;
    const char *imports;
    const char *conditionals;
    const char *allocations;
    const char *threads;
    const char *opens, *closes; /* of blocks; a word of `loops` or `functions` too that opens by itself */
    const char *plain;          /* other words that are no calls */
};

/* Of a name in any case, with or without a version; never NULL: languages that are not known share one. */
const struct lexer_language *lexer_language_of(const char *name);

/* What a word means; an or of these. */
enum lexer_word {
    WORD_LOOP = 1 << 0,
    WORD_ITERATOR = 1 << 1,
    WORD_FUNCTION = 1 << 2,
    WORD_IMPORT = 1 << 3,
    WORD_CONDITIONAL = 1 << 4,
    WORD_ALLOCATION = 1 << 5,
    WORD_THREAD = 1 << 6,
    WORD_OPEN = 1 << 7,
    WORD_CLOSE = 1 << 8,
    WORD_PLAIN = 1 << 9,
    WORD_CALLED = 1 << 10, /* only when it is called */
};

#define LEXER_SLOTS 1024

/* The words of one language. */
struct lexer_words {
    gboolean ignores_case;
    struct lexer_slot {
        const char *word;
        guint8 length;
        guint16 means;
    } slots[LEXER_SLOTS];
};

void lexer_words_init(struct lexer_words *words, const struct lexer_language *language);

/* An or of enum lexer_word; 0: a name. */
guint lexer_words_find(const struct lexer_words *words, const char *text, gsize length);
