#include "tap.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/text.h"
#include "crypto/der.h"

static void test_reader(void)
{
	static const struct {
		const char *hex, *what;
		bool good;
	} rows[] = {
		{ "0500", "NULL", true },
		{ "040161", "short length", true },
		{ "04", "header cut", false },
		{ "0402ff", "value cut", false },
		{ "3080050000", "indefinite length", false },
		{ "048101ff", "length not minimal", false },
		{ "04820001ff", "length with a leading zero", false },
		{ "0484ffffffff", "length beyond the end", false },
		{ "04850000000001ff", "length of five octets", false },
		{ "1f8101", "tag of more octets", false },
		{ "", "nothing", false },
	};
	SCOPED_ARENA *a = arena_new();

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes b = { 0 }, v, w;
		struct der d;
		int tag;

		if (hex_decode(a, rows[i].hex, &b))
			exit(99);
		d = der_of(b);
		ok(der_next(&d, &tag, &v, &w) == rows[i].good, "%s", rows[i].what);
		if (!rows[i].good)
			ok(d.p == b.p, "%s: nothing is consumed", rows[i].what);
	}
}

static void test_numbers(void)
{
	static const struct {
		const char *hex;
		uint64_t want;
		bool good;
	} rows[] = {
		{ "00", 0, true }, { "7f", 127, true }, { "0080", 128, true },
		{ "00ffffffffffffffff", UINT64_MAX, true },
		{ "80", 0, false }, { "0001", 0, false }, { "", 0, false }, { "010000000000000000", 0, false },
	};
	SCOPED_ARENA *a = arena_new();
	unsigned char buf[64];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes b = { 0 };
		uint64_t x = 0;

		if (hex_decode(a, rows[i].hex, &b))
			exit(99);
		ok(der_uint(b, &x) == rows[i].good && x == rows[i].want, "integer %s", rows[i].hex);
		if (rows[i].good) {
			struct derw w = derw_init(buf, sizeof(buf));

			derw_uint(&w, rows[i].want);
			is_str(hex_encode(a, (struct bytes){ w.p + 2, derw_mark(&w) - 2 }), rows[i].hex,
			       "written back");
		}
	}
}

static void test_times(void)
{
	static const struct {
		int tag;
		const char *text;
		int64_t want; /* -1: refused */
	} rows[] = {
		{ DER_UTCTIME, "700101000000Z", 0 },
		{ DER_UTCTIME, "491231235959Z", 2524607999 },
		{ DER_UTCTIME, "500101000000Z", -631152000 },
		{ DER_UTCTIME, "240229120000Z", 1709208000 },
		{ DER_UTCTIME, "230229120000Z", -1 },
		{ DER_UTCTIME, "231301000000Z", -1 },
		{ DER_UTCTIME, "230100000000Z", -1 },
		{ DER_UTCTIME, "230101240000Z", -1 },
		{ DER_UTCTIME, "230101000060Z", -1 },
		{ DER_UTCTIME, "2301010000Z", -1 },
		{ DER_UTCTIME, "230101000000+0100", -1 },
		{ DER_UTCTIME, "23010100000aZ", -1 },
		{ DER_UTCTIME, "230101000000z", -1 },
		{ DER_GENTIME, "20500101000000Z", 2524608000 },
		{ DER_GENTIME, "99991231235959Z", 253402300799 },
		{ DER_GENTIME, "20500101000000.5Z", -1 },
		{ DER_GENTIME, "500101000000Z", -1 },
		{ DER_OCTETSTRING, "20500101000000Z", -1 },
		{ DER_UTCTIME, "", -1 },
	};
	unsigned char buf[64];

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t t = -1;

		der_time(rows[i].tag, bytes_of(rows[i].text), &t);
		is_int(t, rows[i].want, rows[i].text);
		if (rows[i].want != -1) {
			struct derw w = derw_init(buf, sizeof(buf));

			derw_time(&w, t);
			ok(w.p[0] == rows[i].tag &&
			   bytes_equal((struct bytes){ w.p + 2, derw_mark(&w) - 2 }, bytes_of(rows[i].text)),
			   "written back: %s", rows[i].text);
		}
	}
}

static void test_oids(void)
{
	static const struct {
		const char *dotted, *hex; /* hex NULL: refused */
	} rows[] = {
		{ "2.5.29.14", "0603551d0e" },
		{ "1.2.840.113549.1.1.11", "06092a864886f70d01010b" },
		{ "2.999", "06028837" },
		{ "0.39", "060127" },
		{ "2.25.18446744073709551615", "060b6981ffffffffffffffff7f" },
		{ "2.25.18446744073709551616", NULL },
		{ "3.1", NULL },
		{ "1.40", NULL },
		{ "1", NULL },
		{ "1.", NULL },
		{ "1.2.", NULL },
		{ "1..2", NULL },
		{ "1.02", NULL },
		{ "1.2.a", NULL },
		{ "", NULL },
		{ "-1.2", NULL },
	};
	static const char *const bad[] = { "", "80", "0680", "2a80", "2a8001", "2affffffffffffffffffff7f" };
	SCOPED_ARENA *a = arena_new();
	unsigned char buf[512];
	char text[128];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct derw w = derw_init(buf, sizeof(buf));
		bool good = derw_oid(&w, rows[i].dotted);

		is_str(good ? hex_encode(a, derw_bytes(&w)) : NULL, rows[i].hex, rows[i].dotted);
		if (good)
			ok(der_oid((struct bytes){ w.p + 2, derw_mark(&w) - 2 }, text, sizeof(text)) &&
				   strcmp(text, rows[i].dotted) == 0,
			   "read back: %s", rows[i].dotted);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct bytes b = { 0 };

		if (hex_decode(a, bad[i], &b))
			exit(99);
		ok(!der_oid(b, text, sizeof(text)), "refused: %s", bad[i]);
	}
	ok(!der_oid((struct bytes){ (const unsigned char *)"\x2a\x86\x48\x86\xf7\x0d", 6 }, text, 12),
	   "no room for the text");
}

static void test_writer(void)
{
	static const size_t lengths[] = { 0, 127, 128, 255, 256, 65535, 65536, 1 << 24 };
	SCOPED_ARENA *a = arena_new();
	unsigned char small[8];
	struct derw w;

	for (size_t i = 0; i < COUNT(lengths); i++) {
		size_t n = lengths[i];
		unsigned char *content = arena_alloc(a, n + 1, 1), *out = arena_alloc(a, n + 16, 1);
		struct bytes v;
		struct der d;

		w = derw_init(out, n + 16);
		derw_tlv(&w, DER_OCTETSTRING, content, n);
		d = der_of(derw_bytes(&w));
		ok(!w.over && der_expect(&d, DER_OCTETSTRING, &v) && der_done(&d) && v.n == n,
		   "length %zu there and back", n);
	}
	w = derw_init(small, sizeof(small));
	derw_tlv(&w, DER_OCTETSTRING, "1234567", 7);
	ok(w.over, "overflow is seen");
	derw_bool(&w, true);
	ok(w.over && w.p >= small, "and nothing is written after it");
}

int main(void)
{
	test_reader();
	test_numbers();
	test_times();
	test_oids();
	test_writer();
	return done();
}
