/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/hold.h"

#include "guest/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DIRECTORY ".hold"

/* `site` imports sitecustomize as the last thing before the program; a real one is imported in its place, and that there is none is said in
 * the way that `site` expects. Modules of the image are not loaded under names that the program has files of its own for: it would get the
 * image's in place of them. A clone shares random numbers with its siblings unless their generators are seeded anew. */
static const char python_hook[] =
    "import os, sys\n"
    "\n"
    "class Own:\n"
    "    def __init__(self, directories):\n"
    "        self.names = {entry.partition('.')[0] for directory in directories if os.path.isdir(directory)\n"
    "                      for entry in os.listdir(directory)}\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if path is None and name in self.names:\n"
    "            raise ImportError(f'{name} is among the files of the program', name=name)\n"
    "\n"
    "def leave_no_trace(hook):\n"
    "    sys.path.remove(hook)\n"
    "    sys.path_importer_cache.pop(hook, None)\n"
    "    del sys.modules['sitecustomize']\n"
    "    wanted = os.environ['PYTHONPATH'][len(hook) + 1:]\n"
    "    if wanted:\n"
    "        os.environ['PYTHONPATH'] = wanted\n"
    "    else:\n"
    "        del os.environ['PYTHONPATH']\n"
    "\n"
    "def load(names):\n"
    "    for name in names:\n"
    "        try:\n"
    "            __import__(name)\n"
    "        except BaseException as error:\n"
    "            yield f'{name}: {type(error).__name__}: {error}'\n"
    "\n"
    "def load_all(root, names):\n"
    "    inside = [entry for entry in sys.path if (os.path.realpath(entry) + '/').startswith(root + '/')]\n"
    "    path, own = list(sys.path), Own([os.path.dirname(os.path.abspath(sys.argv[0])), *inside])\n"
    "    sys.path[:] = [entry for entry in path if entry not in inside]\n"
    "    sys.meta_path.insert(0, own)\n"
    "    for _ in load(['sitecustomize']):\n"
    "        pass\n"
    "    failed = list(load(names))\n"
    "    sys.meta_path.remove(own)\n"
    "    sys.path[:] = path + [entry for entry in sys.path if entry not in path]\n"
    "    return failed\n"
    "\n"
    "def collect():\n"
    "    is_new = 'gc' not in sys.modules\n"
    "    import gc\n"
    "    gc.collect()\n"
    "    if is_new:\n"
    "        del sys.modules['gc']\n"
    "\n"
    "def seed():\n"
    "    for name in 'random', 'numpy.random':\n"
    "        try:\n"
    "            sys.modules[name].seed()\n"
    "        except Exception:\n"
    "            pass\n"
    "    if 'tempfile' in sys.modules:\n"
    "        sys.modules['tempfile']._name_sequence = None\n"
    "\n"
    "def close_input():\n"
    "    null = os.open('/dev/null', os.O_RDONLY)\n"
    "    os.dup2(null, 0)\n"
    "    os.close(null)\n"
    "\n"
    "try:\n"
    "    os.set_inheritable(3, False)\n"
    "    leave_no_trace(os.path.dirname(__file__))\n"
    "    root, *names = os.fsdecode(os.read(3, 65536)).split('\\n')\n"
    "    failed = load_all(os.path.realpath(root), names)\n"
    "    collect()\n"
    "    os.write(3, b'H' + '\\n'.join(failed).encode(errors='replace')[:4096])\n"
    "    go = os.read(3, 1)\n"
    "    if go == b'n':\n"
    "        close_input()\n"
    "    if not go:\n"
    "        os._exit(127)\n"
    "    seed()\n"
    "    os.write(3, b'S')\n"
    "    os.close(3)\n"
    "except BaseException:\n"
    "    sys.excepthook(*sys.exc_info())\n"
    "    os._exit(127)\n"
    "\n"
    "import sitecustomize\n";

/* -M is `use`, before the first line of the program is compiled. Without a package and without subs it adds no name to any. */
static const char perl_hook[] =
    "{\n"
    "    local ($@, $!);\n"
    "    my ($hook) = __FILE__ =~ m{(.*)/};\n"
    "    my $wanted = substr($ENV{PERL5OPT}, length(\"-I$hook -MHarbingerHold\"));\n"
    "    $wanted =~ s/^ //;\n"
    "    if (length $wanted) { $ENV{PERL5OPT} = $wanted } else { delete $ENV{PERL5OPT} }\n"
    "    @INC = grep { $_ ne $hook } @INC;\n"
    "    delete $INC{'HarbingerHold.pm'};\n"
    "    open(my $line, '+<&=', 3) or die \"line: $!\";\n"
    "    sysread($line, my $order, 65536) or die \"line: $!\";\n"
    "    my ($root, @names) = split /\\n/, $order;\n"
    "    my @failed;\n"
    "    if (@names and grep { !m{^/} or \"$_/\" =~ m{^\\Q$root\\E/} } @INC) {\n"
    "        @failed = 'modules of the program come before those of the image: none is loaded';\n"
    "        @names = ();\n"
    "    }\n"
    "    for my $name (@names) {\n"
    "        (my $file = \"$name.pm\") =~ s{::}{/}g;\n"
    "        eval { require $file } or push @failed, \"$name: $@\" =~ s/\\s+$//r;\n"
    "    }\n"
    "    syswrite($line, substr('H' . join(\"\\n\", @failed), 0, 4096));\n"
    "    sysread($line, my $go, 1) or die 'nobody says go';\n"
    "    open(STDIN, '<', '/dev/null') if $go eq 'n';\n"
    "    srand if @names;\n"
    "    $^T = time;\n"
    "    syswrite($line, 'S');\n"
    "}\n"
    "1;\n";

/* Threads of the program load it again. Modules other than Node.js' own are found from where the program is: not yet. */
static const char node_hook[] =
    "'use strict';\n"
    "delete require.cache[__filename];\n"
    "function hold() {\n"
    "  const fs = require('fs');\n"
    "  const { builtinModules } = require('module');\n"
    "  const wanted = process.env.NODE_OPTIONS.replace(/^--require \\S+ ?/, '');\n"
    "  if (wanted) process.env.NODE_OPTIONS = wanted; else delete process.env.NODE_OPTIONS;\n"
    "  const order = Buffer.alloc(65536);\n"
    "  const [, ...names] = order.toString('utf8', 0, fs.readSync(3, order)).split('\\n');\n"
    "  const failed = names.filter((name) => !builtinModules.includes(name.replace(/^node:/, '')));\n"
    "  for (const name of names) if (!failed.includes(name)) require(name);\n"
    "  const text = failed.map((name) => name + ': not a module of Node.js itself').join('\\n');\n"
    "  fs.writeSync(3, Buffer.from('H' + text).subarray(0, 4096));\n"
    "  if (fs.readSync(3, order, 0, 1) !== 1) process.kill(process.pid, 'SIGKILL');\n"
    "  if (order[0] === 110) { fs.closeSync(0); fs.openSync('/dev/null', 'r'); }\n"
    "  fs.writeSync(3, 'S');\n"
    "  fs.closeSync(3);\n"
    "}\n"
    "if (require('worker_threads').isMainThread) hold();\n";

static const struct hold_hook hooks[] = {
    {
        .program = "python3",
        .path = DIRECTORY "/python3/sitecustomize.py",
        .text = python_hook,
        .variable = "PYTHONPATH",
        .prefix = "",
        .suffix = "/python3",
        .separator = ':',
        .hides_code = true,
    },
    {
        .program = "perl",
        .path = DIRECTORY "/perl/HarbingerHold.pm",
        .text = perl_hook,
        .variable = "PERL5OPT",
        .prefix = "-I",
        .suffix = "/perl -MHarbingerHold",
        .separator = ' ',
    },
    {
        .program = "node",
        .path = DIRECTORY "/node/hold.js",
        .text = node_hook,
        .variable = "NODE_OPTIONS",
        .prefix = "--require ",
        .suffix = "/node/hold.js",
        .separator = ' ',
        .hides_code = true,
    },
};

#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

const struct hold_hook *hold_find(const char *program)
{
    for (size_t i = 0; i < N_HOOKS; i++) {
        if (strcmp(hooks[i].program, program) == 0)
            return &hooks[i];
    }
    return NULL;
}

/* Closed even to us: Python would leave a cache beside its hook. */
static bool set_modes(struct agent *agent, mode_t mode)
{
    char directory[64];
    bool ok = true;
    for (size_t i = 0; i < N_HOOKS; i++) {
        const char *slash = strrchr(hooks[i].path, '/');
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - hooks[i].path), hooks[i].path);
        ok &= fchmodat(agent->work_fd, directory, mode, 0) == 0;
    }
    return ok;
}

bool hold_prepare(struct agent *agent)
{
    if (agent->has_hooks)
        return true;
    hold_clear(agent);
    for (size_t i = 0; i < N_HOOKS; i++) {
        if (path_write_file(agent->work_fd, wire_text(hooks[i].path), wire_text(hooks[i].text), 0444, 0) != 0)
            return false;
    }
    agent->has_hooks = set_modes(agent, 0555);
    return agent->has_hooks;
}

void hold_clear(struct agent *agent)
{
    set_modes(agent, 0755);
    path_remove_tree(agent->work_fd, DIRECTORY);
    agent->has_hooks = false;
}

bool hold_assignment(const struct agent *agent, const struct hold_hook *hook, struct wire_slice wanted, char *ret_text,
                     size_t size)
{
    int length = snprintf(ret_text, size, "%s=%s%s/" DIRECTORY "%s", hook->variable, hook->prefix,
                          agent->options.work_dir, hook->suffix);
    if (length < 0 || (size_t)length + wanted.size + 2 > size) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (wanted.size) {
        ret_text[length++] = hook->separator;
        memcpy(ret_text + length, wanted.data, wanted.size);
        ret_text[(size_t)length + wanted.size] = '\0';
    }
    return true;
}
