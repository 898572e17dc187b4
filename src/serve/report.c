/* The access log. Guarantees: one line an exchange, as JSON, without control bytes and without anything secret: no
 * header, no body, no credential. */
#include "serve/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "serve/link.h"
#include "serve/refusals.h"
#include "serve/server.h"
#include "serve/worker.h"

struct line {
	int64_t time;
	char *address, *method, *path, *op, *realm, *subject, *serial_number, *reason, *tls, *cipher;
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
	STR(line, serial_number, "Of the certificate that was granted."),
	INT(line, status, "HTTP status.", .flags = F_SHOW0),
	STR(line, reason, "Why it was refused."),
	INT(line, micros, "From the end of the request to the answer, microseconds.", .flags = F_SHOW0),
	STR(line, tls, "TLS version."),
	STR(line, cipher, "Cipher suite."),
	END
};
static const struct schema line_type = { .name = "access", .doc = "A line of the access log",
					 .size = sizeof(struct line), .fields = line_fields };

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

static bool wanted(const struct access_log *log, const struct exchange *x)
{
	enum log_class class = log->service->class && x->out.op ? log->service->class(x->out.op, x->out.status)
								: CLASS_NONE;

	return log->fd >= 0 && logs_wanted(log->settings, class, x->out.status);
}

static void log_line(int fd, const struct exchange *x, int64_t micros)
{
	struct arena *a = x->arena;
	const struct line l = { .time = tm_now(), .address = shown(a, x->in.address), .method = shown(a, x->in.method),
				.path = shown(a, x->in.path), .op = shown(a, x->out.op),
				.realm = shown(a, x->out.realm),
				.subject = shown(a, x->out.subject), .serial_number = shown(a, x->out.serial_number),
				.reason = shown(a, x->out.reason), .status = x->out.status,
				.micros = micros, .tls = shown(a, x->in.tls ? x->in.tls->version : NULL),
				.cipher = shown(a, x->in.tls ? x->in.tls->cipher : NULL) };
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	rec_json(&line_type, &l, 0, &text);
	buf_putc(&text, '\n');
	if (fs_write_fd(fd, buf_bytes(&text), &ignored) != 0)
		return; /* a full disk stops nothing here: commits say so themselves */
}

/* What a LINK_DONE frame says of an exchange. */
static void write_done(const struct exchange *x, int64_t micros, char text[DONE_MAX])
{
	snprintf(text, DONE_MAX, "%d %d %lld %s %s", x->out.status, x->out.counts ? 1 : 0, (long long)micros,
		 x->out.op ? x->out.op : "-", x->out.reason ? x->out.reason : "-");
}

static void send_done(int link, struct bytes text)
{
	struct err ignored = { 0 };

	if (link >= 0 && link_send(link, LINK_DONE, text, &ignored) != 0)
		return; /* the parent has gone; the worker is about to */
}

/* What is absent is empty. */
static void add_word(struct buf *b, const char *s)
{
	buf_puts(b, s ? s : "");
	buf_putc(b, '\0');
}

static void send_refused(int link, const struct exchange *x)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct err ignored = { 0 };

	buf_printf(&text, "%d", x->out.status);
	buf_putc(&text, '\0');
	add_word(&text, x->out.op);
	add_word(&text, x->out.reason);
	add_word(&text, x->out.realm);
	add_word(&text, x->out.subject);
	add_word(&text, x->in.address);
	if (link >= 0 && link_send(link, LINK_REFUSED, buf_bytes(&text), &ignored) != 0)
		return; /* the parent has gone; the worker is about to */
}

bool report_read(struct bytes text, struct refused *ret)
{
	struct refused r = { 0 };
	const char **words[] = { &r.op, &r.reason, &r.realm, &r.subject, &r.address };
	const char *p = (const char *)text.p, *end = p + text.n;

	if (text.n == 0 || end[-1] != '\0')
		return false;
	r.status = (int)strtol(p, NULL, 10);
	for (size_t i = 0; i < COUNT(words); i++) {
		p += strlen(p) + 1;
		if (p >= end)
			return false;
		*words[i] = *p ? p : NULL;
	}
	*ret = r;
	return r.op && r.reason;
}

void report_exchange(int link, const struct access_log *log, const struct exchange *x)
{
	int64_t micros = micros_since(x->began_us);
	char text[DONE_MAX];

	if (x->out.status >= 400 && x->out.op && x->out.reason)
		send_refused(link, x);
	if (wanted(log, x))
		log_line(log->fd, x, micros);
	write_done(x, micros, text);
	send_done(link, bytes_of(text));
}

void report_flush(struct report_batch *b, int link)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	for (size_t i = 0; i < b->n; i++)
		buf_printf(&text, "%s %u\n", b->v[i].text, b->v[i].times);
	if (b->n)
		send_done(link, buf_bytes(&text));
	b->n = 0;
}

void report_gather(struct report_batch *b, int link, const struct access_log *log, const struct exchange *x)
{
	int64_t micros = micros_since(x->began_us);
	char text[DONE_MAX];
	size_t i = 0;

	if (wanted(log, x))
		log_line(log->fd, x, micros);
	write_done(x, (micros + 9) / 10 * 10, text);
	while (i < b->n && strcmp(b->v[i].text, text) != 0)
		i++;
	if (i == REPORT_KINDS) {
		report_flush(b, link);
		i = 0;
	}
	if (i == b->n) {
		memcpy(b->v[i].text, text, sizeof(text));
		b->v[i].times = 0;
		b->n++;
	}
	b->v[i].times++;
}
