/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/lexer-table.h"

#include <string.h>

#define WORD_LENGTH_MAX 32

#define C_COMMENTS .line_comments = {"//"}, .block_comments = {{"/*", "*/"}}
#define C_LOOPS "for while do"
#define C_CONDITIONALS "if case"
#define C_PLAIN "return sizeof switch else catch try throw typeof alignof decltype default break continue goto"
#define JVM_PLAIN C_PLAIN " synchronized super this class interface enum package finally"
#define C_ALLOCATIONS \
    "malloc( calloc( realloc( aligned_alloc( posix_memalign( mmap( strdup( g_new( g_new0( g_malloc( g_malloc0("
#define C_THREADS "pthread_create( fork( clone( thrd_create( omp_set_num_threads( posix_spawn( g_thread_new("
#define QUOTES (FORM_DOUBLE | FORM_SINGLE)
#define LITERALS (FORM_DOUBLE | FORM_CHARACTER)

static const struct lexer_language lexer_languages[] = {
    {
        .names = "c gcc clang icc icx cuda opencl objective-c objc",
        C_COMMENTS,
        .forms = LITERALS | FORM_DIRECTIVES | FORM_TOP_NAMED,
        .loops = C_LOOPS,
        .conditionals = C_CONDITIONALS,
        .allocations = C_ALLOCATIONS,
        .threads = C_THREADS " dispatch_async( NSThread",
        .plain = C_PLAIN " defined __attribute__",
    },
    {
        .names = "c++ cpp cxx gpp g++",
        C_COMMENTS,
        .forms = LITERALS | FORM_DIRECTIVES | FORM_TOP_NAMED | FORM_CPP_RAW,
        .loops = C_LOOPS " for_each(",
        .imports = "import",
        .conditionals = C_CONDITIONALS,
        .allocations = C_ALLOCATIONS " new push_back( emplace_back( resize( reserve( make_unique make_shared",
        .threads = C_THREADS " thread jthread async(",
        .plain = C_PLAIN " operator static_cast reinterpret_cast const_cast dynamic_cast static_assert alignas",
    },
    {
        .names = "chapel chpl",
        C_COMMENTS,
        .forms = QUOTES | FORM_NESTED,
        .loops = "for while forall coforall foreach",
        .functions = "proc iter",
        .imports = "use import",
        .conditionals = "if when",
        .allocations = "new",
        .threads = "begin cobegin coforall",
        .plain = "return do then else in var const param type record class select otherwise with ref",
    },
    {
        .names = "java openjdk graalvm groovy",
        C_COMMENTS,
        .forms = LITERALS | FORM_NAMED | FORM_TRIPLE,
        .loops = C_LOOPS,
        .iterators = "forEach(",
        .imports = "import",
        .conditionals = C_CONDITIONALS,
        .allocations = "new allocate( copyOf( clone(",
        .threads =
            "Thread( newFixedThreadPool( newCachedThreadPool( newWorkStealingPool( ForkJoinPool( parallel( parallelStream( "
            "CompletableFuture supplyAsync( runAsync( submit( ofVirtual(",
        .plain = JVM_PLAIN,
    },
    {
        .names = "csharp c# csharpcore csharppgo dotnet",
        C_COMMENTS,
        .forms = LITERALS | FORM_NAMED | FORM_VERBATIM | FORM_DIRECTIVES | FORM_TRIPLE,
        .loops = C_LOOPS " foreach",
        .imports = "using",
        .conditionals = C_CONDITIONALS,
        .allocations = "new stackalloc ToList( ToArray( Rent(",
        .threads = "Thread( Parallel Task async AsParallel( QueueUserWorkItem(",
        .plain = JVM_PLAIN " nameof lock fixed checked unchecked foreach base namespace",
    },
    {
        .names = "javascript js node nodejs typescript ts deno bun toit",
        C_COMMENTS,
        .forms = QUOTES | FORM_BACKTICK | FORM_NAMED | FORM_ARROW | FORM_REGEX | FORM_IMPORT_STRINGS,
        .letters = "$",
        .loops = C_LOOPS,
        .iterators = "forEach(",
        .functions = "function",
        .imports = "import require(",
        .conditionals = C_CONDITIONALS,
        .allocations = "new push( concat( slice( map( filter( alloc( allocUnsafe( from( fill(",
        .threads = "Worker( fork( spawn( exec( setTimeout( setInterval( setImmediate( async",
        .plain = C_PLAIN " await yield delete instanceof in of class extends const let var export super",
    },
    {
        .names = "go golang",
        C_COMMENTS,
        .forms = LITERALS | FORM_BACKTICK | FORM_SEMICOLONS | FORM_IMPORT_STRINGS,
        .loops = "for",
        .functions = "func",
        .imports = "import",
        .conditionals = C_CONDITIONALS,
        .allocations = "make( new( append(",
        .threads = "go",
        .plain = "return switch select range else defer var const type struct interface map chan package default",
    },
    {
        .names = "rust rs",
        C_COMMENTS,
        .forms = LITERALS | FORM_MULTILINE | FORM_RUST_RAW | FORM_NESTED | FORM_SEMICOLONS | FORM_IMPORT_FIRST,
        .loops = "for while loop",
        .iterators = "for_each(",
        .functions = "fn",
        .imports = "use extern",
        .conditionals = "if match",
        .allocations = "vec Vec Box with_capacity( push( collect( to_vec( to_string( to_owned( clone( String",
        .threads = "spawn( par_iter par_iter_mut into_par_iter par_chunks scope(",
        .plain =
            "return let mut else impl struct enum trait mod pub crate in move as where unsafe ref dyn type const static",
    },
    {
        .names = "swift kotlin kt dart dartexe dartjit scala d zig vala haxe v",
        C_COMMENTS,
        .forms = LITERALS | FORM_NESTED | FORM_TRIPLE | FORM_NAMED | FORM_SEMICOLONS,
        .loops = "for while do repeat foreach",
        .iterators = "forEach foreach(",
        .functions = "func fun fn def",
        .imports = "import",
        .conditionals = "if case when guard",
        .allocations =
            "new append( add( arrayOf( mutableListOf( ArrayList( Array( List( ListBuffer( ArrayBuffer( reserveCapacity( "
            "allocate( filled( UnsafeMutablePointer alloc( create(",
        .threads = "Thread( thread( launch( async( async Task( Future( spawn( Isolate concurrentPerform( par parallel(",
        .plain = C_PLAIN " match let var val super where in is as class struct object trait enum extension override",
    },
    {
        .names = "python py cpython pypy python3 pyston micropython cython graalpy",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_TRIPLE | BLOCK_INDENTED | FORM_IMPORT_FIRST,
        .loops = "for while",
        .functions = "def",
        .imports = "import from",
        .conditionals = "if elif",
        .allocations =
            "append( extend( list( dict( set( bytearray( zeros( ones( empty( arange( array( DataFrame( copy( deepcopy(",
        .threads =
            "Thread( Process( Pool( ThreadPool( ThreadPoolExecutor( ProcessPoolExecutor( create_task( gather( fork( Popen( async",
        .plain =
            "return and or not in is lambda print else with as yield await class assert raise except global nonlocal del pass try "
            "finally break continue",
    },
    {
        .names = "nim",
        .line_comments = {"#"},
        .block_comments = {{"#[", "]#"}},
        .forms = LITERALS | FORM_TRIPLE | BLOCK_INDENTED | FORM_BARE,
        .loops = "for while",
        .functions = "proc func iterator template macro method",
        .imports = "import from include",
        .conditionals = "if elif when of",
        .allocations = "new newSeq( add( alloc( newString(",
        .threads = "spawn createThread( async",
        .plain = "return let var const type in and or not discard echo else case",
    },
    {
        .names = "coffeescript gdscript",
        .line_comments = {"#"},
        .block_comments = {{"###", "###"}},
        .forms = QUOTES | FORM_TRIPLE | BLOCK_INDENTED | FORM_BARE,
        .loops = "for while until loop",
        .functions = "func",
        .imports = "import require(",
        .conditionals = "if unless when elif",
        .allocations = "new push( append(",
        .threads = "Worker( spawn( fork( Thread",
        .plain = "return else then in of and or not is isnt class extends var",
    },
    {
        .names = "ruby rb mri jruby truffle truffleruby crystal yarv",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_BACKTICK | FORM_MULTILINE | FORM_HEREDOC | FORM_REGEX | FORM_BARE | FORM_MODIFIERS |
                 FORM_HASH_WORD | FORM_IMPORT_STRINGS,
        .letters = "?!@",
        .loops = "while until for",
        .iterators =
            "loop each each_with_index each_slice each_cons each_char each_line each_key each_value each_pair times upto "
            "downto step map flat_map select reject inject reduce",
        .functions = "def",
        .imports = "require require_relative load",
        .conditionals = "if elsif unless when",
        .allocations = "new dup clone push( concat(",
        .threads = "Thread Ractor Process fork spawn Fiber",
        .opens = "def class module if unless case begin do while until for",
        .closes = "end",
        .plain = "return and or not then else in self nil true false yield super next break ensure rescue",
    },
    {
        .names = "elixir",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_TRIPLE | FORM_MULTILINE | FORM_BARE | FORM_IMPORT_FIRST,
        .letters = "?!",
        .loops = "for",
        .functions = "def defp defmacro",
        .imports = "import alias use require",
        .conditionals = "if unless",
        .allocations = "new duplicate( into(",
        .threads = "spawn spawn_link Task GenServer async( start_link(",
        .opens = "do fn",
        .closes = "end",
        .plain = "defmodule case cond when and or not in else receive",
    },
    {
        .names = "julia",
        .line_comments = {"#"},
        .block_comments = {{"#=", "=#"}},
        .forms = LITERALS | FORM_TRIPLE | FORM_MULTILINE | FORM_NESTED | FORM_IMPORT_FIRST,
        .letters = "!",
        .loops = "for while",
        .functions = "function macro",
        .imports = "using import include(",
        .conditionals = "if elseif",
        .allocations = "zeros( ones( fill( similar( Vector Array Matrix Dict( push!( append!( undef copy( collect(",
        .threads = "@spawn spawn threads Threads @threads @async @distributed addprocs(",
        .opens = "function macro if for while begin let module baremodule struct try quote do",
        .closes = "end",
        .plain = "return mutable const else in end catch finally where export global local",
    },
    {
        .names = "lua luajit luau",
        .line_comments = {"--"},
        .forms = QUOTES | FORM_LONG | FORM_IMPORT_STRINGS,
        .loops = "for while repeat",
        .functions = "function",
        .imports = "require dofile loadfile",
        .conditionals = "if elseif",
        .allocations = "insert( create( setmetatable( rep( new(",
        .threads = "coroutine",
        .opens = "do if function repeat",
        .closes = "end until",
        .plain = "return local then else and or not in goto",
    },
    {
        .names = "shell sh bash zsh ksh dash ash fish",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_MULTILINE | FORM_HEREDOC | FORM_HASH_WORD | FORM_COMMANDS | FORM_SEMICOLONS | FORM_NAMED,
        .letters = "-./",
        .loops = "for while until select",
        .functions = "function",
        .imports = "source",
        .conditionals = "if elif case",
        .threads = "xargs parallel nohup coproc",
        .opens = "do",
        .closes = "done",
        .plain = "then else fi esac in return exit local export set shift break continue trap readonly declare",
    },
    {
        .names = "perl pl raku",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_BACKTICK | FORM_MULTILINE | FORM_HEREDOC | FORM_REGEX | FORM_QUOTE_LIKE | FORM_HASH_WORD,
        .loops = "for foreach while until",
        .iterators = "map grep",
        .functions = "sub",
        .imports = "use require",
        .conditionals = "if elsif unless",
        .allocations = "push new unshift splice bless",
        .threads = "fork threads create( async",
        .plain = "return my our local and or not eq ne lt gt le ge x cmp else do package last next qw",
    },
    {
        .names = "php hack",
        .line_comments = {"//", "#"},
        .block_comments = {{"/*", "*/"}},
        .forms = QUOTES | FORM_MULTILINE | FORM_HEREDOC | FORM_IGNORE_CASE,
        .loops = "for foreach while do",
        .functions = "function fn",
        .imports = "use require require_once include include_once",
        .conditionals = "if elseif case",
        .allocations = "new array_fill( range( array_push( array( str_repeat( SplFixedArray",
        .threads = "pcntl_fork( proc_open( Thread Worker Fiber exec(",
        .plain =
            C_PLAIN " echo print isset empty unset list as class interface namespace public private protected static",
    },
    {
        .names = "r rscript",
        .line_comments = {"#"},
        .forms = QUOTES | FORM_MULTILINE | FORM_BACKTICK | FORM_SEMICOLONS,
        .letters = ".",
        .loops = "for while repeat",
        .iterators = "sapply( lapply( apply( vapply( mapply(",
        .functions = "function",
        .imports = "library( require( source(",
        .conditionals = "if",
        .allocations = "c( list( vector( numeric( character( integer( matrix( data.frame( rep( seq( append( array(",
        .threads = "mclapply( makeCluster( parLapply( future(",
        .plain = "return else in next break",
    },
    {
        .names = "haskell hs ghc purescript elm idris agda",
        .line_comments = {"--"},
        .block_comments = {{"{-", "-}"}},
        .forms = LITERALS | FORM_NESTED | BLOCK_INDENTED | FORM_EQUATIONS | FORM_BARE,
        .letters = "'",
        .loops = "forM_ forM mapM_ mapM replicateM_ replicateM forever for_ traverse_",
        .imports = "import",
        .conditionals = "if case",
        .allocations = "newArray newIORef newSTRef malloc mallocBytes newArray_ replicate newListArray",
        .threads = "forkIO forkOS par pseq async concurrently rpar parMap parList",
        .plain =
            "where let in of then else do data type newtype class instance deriving module qualified hiding as return foreign",
    },
    {
        .names = "ocaml ml sml reason fsharp f# fsharpcore",
        .line_comments = {"//"},
        .block_comments = {{"(*", "*)"}},
        .forms = LITERALS | FORM_MULTILINE | FORM_NESTED | FORM_TRIPLE | BLOCK_INDENTED | FORM_BARE,
        .letters = "'",
        .loops = "for while",
        .functions = "let",
        .imports = "open",
        .conditionals = "if match",
        .allocations = "new create make init ref zeroCreate make_matrix",
        .threads = "Thread Domain Task Async spawn fork",
        .plain =
            "in then else do done to downto begin end with fun function of type module rec mutable and or not true false val "
            "struct sig when try raise member",
    },
    {
        .names = "erlang erl prolog",
        .line_comments = {"%"},
        .forms = QUOTES | FORM_MULTILINE | FORM_EQUATIONS | BLOCK_INDENTED | FORM_IMPORT_FIRST,
        .imports = "include( include_lib( import(",
        .loops = "foreach( foldl( foldr(",
        .conditionals = "case if",
        .allocations = "new( duplicate( seq( from_list(",
        .threads = "spawn( spawn_link( spawn_monitor( spawn_opt(",
        .plain = "of end when fun receive after begin catch try module export",
    },
    {
        .names = "lisp common-lisp sbcl clisp scheme racket guile clojure clj elisp emacs-lisp",
        .line_comments = {";"},
        .block_comments = {{"#|", "|#"}},
        .forms = FORM_DOUBLE | FORM_MULTILINE | FORM_NESTED | BLOCK_PARENTHESES,
        .letters = "-+*/<>=!?:.%&",
        .loops =
            "loop do do* dotimes dolist while for for* for/list for/fold for/sum for/vector doseq foreach mapc map mapcar",
        .functions = "defun defn defn- define defmacro defmethod",
        .imports = "require import use :require :use use-package load",
        .conditionals = "if cond when unless case",
        .allocations =
            "cons list vector make-array make-vector make-hash-table make-hash make-string hash-map append conj build-list",
        .threads = "make-thread thread future pmap place dynamic-place go",
        .plain =
            "let let* letrec lambda fn quote setf setq begin progn defvar defparameter declare the and or not ns module else "
            "declaim type defstruct struct deftype set!",
    },
    {
        .names = "pascal fpascal delphi freepascal",
        .line_comments = {"//"},
        .block_comments = {{"{", "}"}, {"(*", "*)"}},
        .forms = FORM_SINGLE | FORM_PLAIN | FORM_IGNORE_CASE,
        .loops = "for while repeat",
        .functions = "function procedure constructor destructor",
        .imports = "uses",
        .conditionals = "if case",
        .allocations = "new getmem( allocmem( setlength( create",
        .threads = "tthread beginthread( createthread(",
        .opens = "begin case record class try repeat asm",
        .closes = "end until",
        .plain = "var const type then do to downto of else not and or div mod program unit array string integer",
    },
    {
        .names = "ada gnat",
        .line_comments = {"--"},
        .forms = LITERALS | FORM_PLAIN | FORM_IGNORE_CASE | BLOCK_TYPED,
        .loops = "loop",
        .functions = "function procedure",
        .imports = "with",
        .conditionals = "if elsif when",
        .allocations = "new",
        .threads = "task",
        .opens = "begin loop",
        .closes = "end",
        .plain =
            "for while in reverse is return then else and or not use package body declare type range of record select accept",
    },
    {
        .names = "fortran gfortran ifc ifx f77 f90 f95 f03 f08",
        .line_comments = {"!"},
        .forms = QUOTES | FORM_PLAIN | FORM_IGNORE_CASE | BLOCK_TYPED,
        .loops = "do forall",
        .functions = "subroutine function",
        .imports = "use include",
        .conditionals = "if elseif case",
        .allocations = "allocate( malloc(",
        .opens = "do subroutine function program",
        .closes = "end enddo endsubroutine endfunction endprogram",
        .plain =
            "call integer real double precision complex logical character dimension write read print format return then else "
            "intent kind type parameter select where recursive pure elemental endif implicit none contains module allocatable",
    },
    {
        .names = "smalltalk pharo vw squeak",
        .block_comments = {{"\"", "\""}},
        .forms = FORM_SINGLE | FORM_MULTILINE | FORM_PLAIN,
        .iterators = "do whileTrue whileFalse timesRepeat",
        .conditionals = "ifTrue ifFalse",
        .allocations = "new",
        .threads = "fork forkAt",
    },
    {
        .names = "sql plsql",
        .line_comments = {"--"},
        .block_comments = {{"/*", "*/"}},
        .forms = QUOTES | FORM_MULTILINE | FORM_PLAIN | FORM_IGNORE_CASE,
        .loops = "loop while",
        .functions = "function procedure",
        .conditionals = "if case when",
        .plain = "select from where in values and or not as on using exists",
    },
    {
        .names = "tcl awk gawk mawk make cmake",
        .line_comments = {"#"},
        .forms = FORM_DOUBLE | FORM_MULTILINE | FORM_HASH_WORD | FORM_SEMICOLONS,
        .loops = "for foreach while do",
        .functions = "proc function",
        .imports = "source package include",
        .conditionals = "if elseif switch case",
        .allocations = "lappend split(",
        .threads = "thread exec",
        .plain = "return set print else in",
    },
};

/* Most code is indented as it is nested, whatever the language. */
static const struct lexer_language lexer_neutral = {
    .line_comments = {"//", "#"},
    .block_comments = {{"/*", "*/"}},
    .forms = LITERALS | FORM_HASH_WORD | BLOCK_INDENTED,
    .loops = "for foreach while until loop repeat do",
    .functions = "function def func fn fun sub proc procedure method",
    .imports = "import include require use using",
    .conditionals = "if elif elsif elseif unless case when",
    .allocations = "new malloc( calloc( alloc( append( push( make( array( list( map(",
    .threads = "thread Thread spawn fork( async",
    .plain = "return else switch match catch try sizeof and or not in end then begin",
};

static gboolean lexer_list_has(const char *list, const char *name, gsize length)
{
    for (const char *at = list; *at != '\0';) {
        const gsize word = strcspn(at, " ");
        if (word == length && g_ascii_strncasecmp(at, name, length) == 0)
            return TRUE;
        at += word + strspn(at + word, " ");
    }
    return FALSE;
}

static const struct lexer_language *lexer_find_language(const char *name, gsize length)
{
    for (guint i = 0; i < G_N_ELEMENTS(lexer_languages); i++)
        if (length > 0 && lexer_list_has(lexer_languages[i].names, name, length))
            return &lexer_languages[i];
    return NULL;
}

const struct lexer_language *lexer_language_of(const char *name)
{
    gsize length = name != NULL ? strlen(name) : 0;
    const struct lexer_language *found = lexer_find_language(name, length);
    while (length > 0 && strchr("0123456789.-", name[length - 1]) != NULL)
        length--;
    if (found == NULL)
        found = lexer_find_language(name, length);
    return found != NULL ? found : &lexer_neutral;
}

static guint lexer_hash(const char *text, gsize length)
{
    guint hash = 2166136261u; /* FNV-1a */
    for (gsize i = 0; i < length; i++)
        hash = (hash ^ (guchar)g_ascii_tolower(text[i])) * 16777619u;
    return (hash ^ hash >> 15) % LEXER_SLOTS;
}

static gboolean lexer_slot_is(const struct lexer_words *words, guint slot, const char *text, gsize length)
{
    const struct lexer_slot *held = &words->slots[slot];
    return held->length == length && (words->ignores_case ? g_ascii_strncasecmp(held->word, text, length) == 0
                                                          : memcmp(held->word, text, length) == 0);
}

/* The slot of a word, or the free one where it would be: the table is never full. */
static guint lexer_words_slot(const struct lexer_words *words, const char *text, gsize length)
{
    guint slot = lexer_hash(text, length);
    while (words->slots[slot].word != NULL && !lexer_slot_is(words, slot, text, length))
        slot = (slot + 1) % LEXER_SLOTS;
    return slot;
}

static void lexer_words_add(struct lexer_words *words, const char *list, guint means)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        const gsize next = strcspn(at, " ");
        const gboolean is_called = at[next - 1] == '(';
        const gsize length = next - (is_called ? 1 : 0);
        struct lexer_slot *slot = &words->slots[lexer_words_slot(words, at, length)];
        slot->word = at;
        slot->length = (guint8)length;
        slot->means |= (guint16)(means | (is_called ? WORD_CALLED : 0));
        at += next + strspn(at + next, " ");
    }
}

void lexer_words_init(struct lexer_words *words, const struct lexer_language *language)
{
    memset(words, 0, sizeof *words);
    words->ignores_case = (language->forms & FORM_IGNORE_CASE) != 0;
    lexer_words_add(words, language->loops, WORD_LOOP);
    lexer_words_add(words, language->iterators, WORD_ITERATOR);
    lexer_words_add(words, language->functions, WORD_FUNCTION);
    lexer_words_add(words, language->imports, WORD_IMPORT);
    lexer_words_add(words, language->conditionals, WORD_CONDITIONAL);
    lexer_words_add(words, language->allocations, WORD_ALLOCATION);
    lexer_words_add(words, language->threads, WORD_THREAD);
    lexer_words_add(words, language->opens, WORD_OPEN);
    lexer_words_add(words, language->closes, WORD_CLOSE);
    lexer_words_add(words, language->plain, WORD_PLAIN);
}

guint lexer_words_find(const struct lexer_words *words, const char *text, gsize length)
{
    return length <= WORD_LENGTH_MAX ? words->slots[lexer_words_slot(words, text, length)].means : 0;
}
