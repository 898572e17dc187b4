/* The access log. Guarantees: one line an exchange, as JSON, without control bytes and without anything secret: no header, no body, no
 * credential. */
#include "serve/report.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "serve/link.h"
#include "serve/server.h"

struct line {
	int64_t time;
	char *address, *method, *path, *op, *realm, *subject, *reason, *tls, *cipher;
	int64_t status, micros;
};

static const struct field line_fields[] = {
	TIME(line, time, "When it was answered."),
	STR(line, address, "Who asked."),
	STR(line, method, "HTTP method."),
	STR(line, path, "What was asked for."),
	STR(line, op, "The operation."),
	STR(line, realm, "DMS or authority."),
	STR(line, subject, "Device or serial number."),
	INT(line, status, "HTTP status.", .flags = F_SHOW0),
	STR(line, reason, "Why it was refused."),
	INT(line, micros, "From the end of the request to the answer, microseconds.", .flags = F_SHOW0),
	STR(line, tls, "TLS version."),
	STR(line, cipher, "Cipher suite."),
	END
};
static const struct schema line_type = { .name = "access", .doc = "A line of the access log", .size = sizeof(struct line), .fields = line_fields };

static int64_t micros_since(int64_t began_us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 - began_us;
}

static char *shown(struct arena *a, const char *s)
{
	return s ? text_escape(a, bytes_of(s)) : NULL;
}

static void log_line(int fd, const struct exchange *x, int64_t micros)
{
	struct arena *a = x->arena;
	const struct line l = { .time = tm_now(), .address = shown(a, x->in.address), .method = shown(a, x->in.method),
				.path = shown(a, x->in.path), .op = shown(a, x->out.op), .realm = shown(a, x->out.realm),
				.subject = shown(a, x->out.subject), .reason = shown(a, x->out.reason), .status = x->out.status,
				.micros = micros, .tls = shown(a, x->in.tls ? x->in.tls->version : NULL),
				.cipher = shown(a, x->in.tls ? x->in.tls->cipher : NULL) };
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	rec_json(&line_type, &l, 0, &text);
	buf_putc(&text, '\n');
	if (fs_write_fd(fd, buf_bytes(&text), &ignored) != 0)
		return; /* a full disk stops nothing here: commits say so themselves */
}

void report_exchange(int link, int access_log, const struct exchange *x)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	int64_t micros = micros_since(x->began_us);
	struct err ignored = { 0 };

	if (access_log >= 0)
		log_line(access_log, x, micros);
	buf_printf(&text, "%d %d %lld %s %s", x->out.status, x->out.counts ? 1 : 0, (long long)micros, x->out.op ? x->out.op : "-",
		   x->out.reason ? x->out.reason : "-");
	if (link >= 0 && link_send(link, LINK_DONE, buf_bytes(&text), &ignored) != 0)
		return; /* the parent has gone; the worker is about to */
}
