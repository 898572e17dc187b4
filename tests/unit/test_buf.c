/* Memory: arenas and growing buffers. */
#include "base/buf.h"

#include "base/arena.h"
#include "tap.h"

static void test_limits(void)
{
	static const struct {
		size_t max;
		const char *first, *second, *want;
		bool over;
	} rows[] = {
		{ 6, "foo", "bar", "foobar", false },
		{ 5, "foo", "bar", "foo", true },
		{ 0, "", "", "", false },
		{ 0, "x", "", "", true },
		{ 3, "four", "x", "", true }, /* once over, nothing more comes: the content is a true beginning */
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		SCOPED_BUF put = buf_init(rows[i].max), fmt = buf_init(rows[i].max);

		buf_puts(&put, rows[i].first);
		buf_puts(&put, rows[i].second);
		buf_printf(&fmt, "%s", rows[i].first);
		buf_printf(&fmt, "%s", rows[i].second);
		is_str(buf_str(&put), rows[i].want, "put up to the maximum");
		is_str(buf_str(&fmt), rows[i].want, "printed up to the maximum");
		ok(put.over == rows[i].over && fmt.over == rows[i].over, "over is %d", rows[i].over);
		is_int((int64_t)put.n, (int64_t)strlen(rows[i].want), "the length");
	}
}

static void test_runs(void)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	struct bytes left, run = { 0 };

	buf_put_run(&b, bytes_of("one"));
	buf_put_run(&b, (struct bytes){ 0 });
	buf_put_run(&b, bytes_of("three"));
	left = buf_bytes(&b);
	ok(bytes_take_run(&left, &run) && bytes_equal(run, bytes_of("one")), "the first run");
	ok(bytes_take_run(&left, &run) && run.n == 0, "an empty one");
	left.n--;
	ok(!bytes_take_run(&left, &run), "one that is cut off is not taken");
	left.n++;
	ok(bytes_take_run(&left, &run) && bytes_equal(run, bytes_of("three")) && left.n == 0, "the last");
	ok(!bytes_take_run(&left, &run), "none is left");
}

static void test_growth(void)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	bool same = true;

	is_str(buf_str(&b), "", "a new buffer is empty text");
	ok(buf_bytes(&b).n == 0, "and no bytes");
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, (char)('a' + i % 26));
	for (size_t i = 0; i < b.n; i++)
		same = same && b.p[i] == (char)('a' + i % 26);
	ok(same && b.n == 100000 && b.p[b.n] == '\0', "100000 single characters");
	buf_clear(&b);
	ok(b.n == 0 && *buf_str(&b) == '\0', "cleared");
	buf_put(&b, "a\0b", 3);
	ok(b.n == 3 && memcmp(b.p, "a\0b", 4) == 0, "binary content");
	buf_put(&b, NULL, 0);
	is_int((int64_t)b.n, 3, "nothing added");
	buf_put(&b, "", BUF_TEXT);
	ok(b.over, "too much at once");
	buf_clear(&b);
	ok(!b.over, "clearing forgives");
}

static void test_arena(void)
{
	SCOPED_ARENA *a = arena_new();
	struct arena *child = arena_new();
	size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 16384, 16385, 65536, 65537, 1 << 20 };
	int *v = NULL;
	bool zero = true, sum = true;
	char *kept;

	for (size_t round = 0; round < 3; round++)
		for (size_t i = 0; i < COUNT(sizes); i++) {
			unsigned char *p = arena_alloc(a, sizes[i], 1);

			zero = zero && (uintptr_t)p % 16 == 0;
			for (size_t k = 0; k < sizes[i]; k++) {
				zero = zero && p[k] == 0;
				p[k] = 0xa5;
			}
		}
	ok(zero, "allocations are zeroed, aligned, and apart");
	for (int i = 0; i < 1000; i++) {
		v = arena_grow(a, v, (size_t)i, sizeof(*v));
		v[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		sum = sum && v[i] == i;
	ok(sum, "an array grows item by item");
	is_str(arena_strdup(a, "text"), "text", "strdup");
	is_str(arena_strdup(a, NULL), NULL, "strdup of NULL");
	is_str(arena_strndup(a, "text", 2), "te", "strndup cuts");
	is_str(arena_strndup(a, "text", 99), "text", "strndup stops at the end");
	is_str(arena_printf(a, "%s-%d", "x", 7), "x-7", "printf");
	kept = arena_strdup(child, "kept");
	arena_alloc(child, 1, 1 << 20);
	arena_adopt(a, child);
	is_str(kept, "kept", "adopted memory lives on");
	arena_adopt(a, arena_new());
	child = arena_new();
	arena_strdup(child, "x");
	kept = arena_strdup(child, "y");
	{
		SCOPED_ARENA *empty = arena_new();

		arena_adopt(empty, child);
		is_str(kept, "y", "an empty arena adopts");
	}
	arena_free(NULL);
}

int main(void)
{
	test_limits();
	test_growth();
	test_runs();
	test_arena();
	return done();
}
