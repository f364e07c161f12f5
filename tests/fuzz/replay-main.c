/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Feeds every file of tests/fuzz/corpus/<target>/ to a fuzz target, so that each test run replays the corpus. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 64 * 1024 * 1024 };

/* The size of every input is exact in its own allocation, so that AddressSanitizer sees an overread by one byte. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) != 0 || status.st_size > INPUT_BYTES_MAX) {
        fprintf(stderr, "%s: cannot be read, or is larger than %d bytes\n", path, INPUT_BYTES_MAX);
        if (file)
            fclose(file);
        return -1;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: short read\n", path);
        free(data);
        fclose(file);
        return -1;
    }
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int replay_directory(const char *directory)
{
    struct dirent **entries = NULL;
    int n_entries = scandir(directory, &entries, NULL, alphasort);
    int n_replayed = 0, n_failed = 0;
    for (int i = 0; i < n_entries; i++) {
        char *path = NULL;
        if (entries[i]->d_name[0] != '.' && asprintf(&path, "%s/%s", directory, entries[i]->d_name) > 0) {
            n_replayed++;
            n_failed += replay_file(path) != 0;
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%s: %d inputs replayed\n", directory, n_replayed);
    return n_replayed > 0 && n_failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        int n_failed = 0;
        for (int i = 1; i < argc; i++)
            n_failed += replay_file(argv[i]) != 0;
        return n_failed > 0;
    }
    const char *tests_directory = getenv("HBR_TESTS_DIR");
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    if (strncmp(name, "lt-", 3) == 0)
        name += 3;
    char *directory = NULL;
    if (asprintf(&directory, "%s/fuzz/corpus/%s", tests_directory ? tests_directory : "tests", name) < 0)
        return 1;
    int status = replay_directory(directory);
    free(directory);
    return status;
}
