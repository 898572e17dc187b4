/* Runs a harness without a fuzzer: over every file of tests/fuzz/corpus/<name>, and over its beginnings. The name is
 * that of the program without "fuzz_"; files or folders may be given instead. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 20, ALL_PREFIXES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Each input gets memory of its exact size, so that the sanitizer sees a byte too far. */
static void run(const uint8_t *data, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	if (n)
		memcpy(exact, data, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static int run_file(const char *path)
{
	static uint8_t data[LARGEST];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return -1;
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	for (size_t cut = 0; cut < n && cut < ALL_PREFIXES; cut++)
		run(data, cut);
	run(data, n);
	return 0;
}

static int run_path(const char *path, int *count)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char file[4096];
	int rc = 0;

	if (!dir) {
		*count += 1;
		return run_file(path);
	}
	while (rc == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		rc = run_file(file);
		*count += 1;
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *base = slash ? slash + 1 : argv[0], *srcdir = getenv("srcdir");
	const char *name = strstr(base, "fuzz_");
	char corpus[4096];
	int count = 0, rc = 0;

	for (int i = 1; i < argc && rc == 0; i++)
		rc = run_path(argv[i], &count);
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
			 name ? name + 5 : base);
		rc = run_path(corpus, &count);
	}
	printf("%d inputs\n", count);
	return rc != 0 || count == 0;
}
