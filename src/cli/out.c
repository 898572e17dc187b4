/* Everything on standard output: buffered, sent when the command is over (or a large piece has gathered), and checked,
 * so that a full disk behind a redirection is never mistaken for success. A reader that goes away is no error. In a dry
 * run only commands that read, and the diff, are heard. */
#include "cli/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

enum { SPILL = 1 << 20 };

void out_open(struct out *o)
{
	o->width = term_width(STDOUT_FILENO);
	o->bold = term_color(o->globals.color, STDOUT_FILENO);
	o->progress.enabled = !o->globals.quiet && isatty(STDERR_FILENO);
}

bool out_muted(const struct ctx *ctx)
{
	return ctx->dry_run && ctx->out->cmd->needs & NEED_WRITE;
}

bool out_is_table(const struct ctx *ctx)
{
	return ctx->out->globals.output == OUT_TABLE;
}

static int send_all(struct out *o, struct err *e)
{
	const char *p = o->buf.p;
	size_t left = o->buf.n;

	while (left > 0 && !o->gone) {
		ssize_t n = write(STDOUT_FILENO, p, left);

		if (n >= 0) {
			p += n;
			left -= (size_t)n;
		} else if (errno == EPIPE) {
			o->gone = true;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			o->gone = true; /* one error is enough */
			return err_sys(e, "standard output");
		}
	}
	buf_clear(&o->buf);
	return 0;
}

int out_flush(struct ctx *ctx, struct err *e)
{
	struct out *o = ctx->out;

	if (o->buf.over) {
		o->gone = true;
		return err_set(e, ERR_IO, "standard output: the result is too large");
	}
	return send_all(o, e);
}

static int spill(struct ctx *ctx, struct err *e)
{
	return ctx->out->buf.n >= SPILL || ctx->out->buf.over ? out_flush(ctx, e) : 0;
}

int out_finish(struct ctx *ctx, struct err *e)
{
	struct out *o = ctx->out;
	bool wrote = o->buf.n > 0;
	int fd;

	if (o->diff.n > 0) {
		buf_puts(&o->buf, o->globals.output == OUT_JSON ? "{\"diff\": " : "diff: ");
		json_text(ctx->arena, &o->buf, buf_str(&o->diff));
		buf_puts(&o->buf, o->globals.output == OUT_JSON ? "}\n" : "\n");
	}
	if (out_flush(ctx, e) != 0)
		return -1;
	/* Network file systems report a full disk on close only. */
	fd = wrote ? dup(STDOUT_FILENO) : -1;
	return fd >= 0 && close(fd) != 0 && errno != EINTR ? err_sys(e, "standard output") : 0;
}

void json_text(struct arena *a, struct buf *out, const char *text)
{
	if (text == NULL) {
		buf_puts(out, "null");
		return;
	}
	if (!utf8_valid(bytes_of(text)))
		text = text_escape(a, bytes_of(text));
	buf_putc(out, '"');
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n' || c == '\t')
			buf_puts(out, c == '\n' ? "\\n" : "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\u%04x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void end_line(struct buf *b)
{
	if (b->n > 0 && b->p[b->n - 1] != '\n')
		buf_putc(b, '\n');
}

static const char *key_field(const struct schema *s)
{
	for (const struct field *f = s->fields; f->name; f++)
		if (f->flags & F_KEY)
			return f->name;
	return s->fields->name;
}

static int put_id(struct out *o, const struct schema *s, const void *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	const struct field *f;
	char *text = NULL;

	if (rec_get(a, s, rec, key_field(s), &text, &f, e) != 0)
		return -1;
	if (text && *text) /* what failed of a batch has none */
		buf_printf(&o->buf, "%s\n", text_escape(a, bytes_of(text)));
	return 0;
}

int out_record(struct ctx *ctx, const struct schema *s, const void *rec, struct err *e)
{
	struct out *o = ctx->out;

	if (out_muted(ctx))
		return 0;
	switch ((enum out_format)o->globals.output) {
	case OUT_TABLE:
		if (table_record(o, s, rec, e) != 0)
			return -1;
		break;
	case OUT_JSON:
		rec_json(s, rec, 2, &o->buf);
		break;
	case OUT_YAML:
		rec_show_yaml(s, rec, &o->buf);
		break;
	case OUT_ID:
		if (put_id(o, s, rec, e) != 0)
			return -1;
		break;
	}
	end_line(&o->buf);
	return spill(ctx, e);
}

int out_list_begin(struct ctx *ctx, const struct schema *s, struct err *e)
{
	struct out *o = ctx->out;

	o->list = (struct listing){ .type = s };
	if (table_columns(ctx->arena, s, o->columns, &o->list, e) != 0)
		return -1;
	if (!out_muted(ctx) && o->globals.output == OUT_JSON)
		buf_puts(&o->buf, "{\"list\": [");
	return 0;
}

/* One item of a YAML list: the record with its first line after "- " and the others below it. */
static void put_yaml_item(struct buf *out, const struct schema *s, const void *rec)
{
	SCOPED_BUF doc = buf_init(BUF_BIG);
	const char *mark = "- ";

	rec_show_yaml(s, rec, &doc);
	end_line(&doc);
	for (const char *p = buf_str(&doc), *end; *p; p = end + 1) {
		end = strchr(p, '\n');
		buf_puts(out, end == p ? "" : mark);
		buf_put(out, p, (size_t)(end - p) + 1);
		mark = "  ";
	}
}

static int put_item(struct out *o, const void *rec, struct err *e)
{
	switch ((enum out_format)o->globals.output) {
	case OUT_TABLE:
		break;
	case OUT_JSON:
		buf_puts(&o->buf, o->list.rows ? ",\n" : "\n");
		rec_json(o->list.type, rec, 0, &o->buf);
		break;
	case OUT_YAML:
		buf_puts(&o->buf, o->list.rows ? "" : "list:\n");
		put_yaml_item(&o->buf, o->list.type, rec);
		break;
	case OUT_ID:
		return put_id(o, o->list.type, rec, e);
	}
	return 0;
}

int out_list_rows(struct ctx *ctx, const void *recs, size_t n, struct err *e)
{
	struct out *o = ctx->out;

	if (out_muted(ctx))
		return 0;
	if (out_is_table(ctx))
		return table_rows(o, recs, n, e) == 0 ? spill(ctx, e) : -1;
	for (size_t i = 0; i < n; i++, o->list.rows++)
		if (put_item(o, (const char *)recs + i * o->list.type->size, e) != 0 || spill(ctx, e) != 0)
			return -1;
	return 0;
}

int out_list_end(struct ctx *ctx, const char *next, struct err *e)
{
	struct out *o = ctx->out;

	if (out_muted(ctx))
		return 0;
	switch ((enum out_format)o->globals.output) {
	case OUT_JSON:
		buf_puts(&o->buf, o->list.rows ? "\n], \"next\": " : "], \"next\": ");
		json_text(ctx->arena, &o->buf, next);
		buf_puts(&o->buf, "}\n");
		break;
	case OUT_YAML:
		buf_puts(&o->buf, o->list.rows ? "next: " : "list: []\nnext: ");
		json_text(ctx->arena, &o->buf, next);
		buf_putc(&o->buf, '\n');
		break;
	case OUT_TABLE:
	case OUT_ID:
		if (out_is_table(ctx) && o->list.rows == 0 && table_rows(o, NULL, 0, e) != 0)
			return -1;
		if (out_flush(ctx, e) != 0)
			return -1;
		if (next && !o->globals.quiet)
			say(o, "more", arena_printf(ctx->arena, "--all, or --bookmark %s", next));
		break;
	}
	return spill(ctx, e);
}

int out_list(struct ctx *ctx, const struct schema *s, const void *recs, size_t n, const char *next, struct err *e)
{
	if (out_list_begin(ctx, s, e) != 0 || out_list_rows(ctx, recs, n, e) != 0)
		return -1;
	return out_list_end(ctx, next, e);
}

int out_bytes(struct ctx *ctx, const char *path, struct bytes b, bool private_, bool force, struct err *e)
{
	if (path && strcmp(path, "-") != 0 && strcmp(path, "/dev/stdout") != 0) {
		if (ctx->dry_run)
			return 0;
		return private_ ? fs_write(path, b, 0600, force, e) : fs_put(path, b, 0644, e);
	}
	if (out_muted(ctx))
		return 0;
	buf_put(&ctx->out->buf, b.p, b.n);
	return spill(ctx, e);
}

int out_done(struct ctx *ctx, struct err *e, const char *fmt, ...)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct out *o = ctx->out;
	const char *id = o->operand;
	char line[1024];
	va_list ap;

	if (out_muted(ctx))
		return 0;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	switch ((enum out_format)o->globals.output) {
	case OUT_TABLE:
		if (!o->globals.quiet)
			buf_printf(&text, "%s\n", text_escape(ctx->arena, bytes_of(line)));
		break;
	case OUT_ID:
		buf_printf(&text, "%s\n", text_escape(ctx->arena, bytes_of(id ? id : line)));
		break;
	case OUT_JSON:
	case OUT_YAML: /* of which JSON is a subset */
		buf_puts(&text, "{\"id\": ");
		json_text(ctx->arena, &text, id);
		buf_puts(&text, ", \"done\": ");
		json_text(ctx->arena, &text, line);
		buf_puts(&text, "}\n");
		break;
	}
	buf_put(&o->buf, text.p, text.n);
	return spill(ctx, e);
}

static struct bytes bytes_to(const char *from, const char *to)
{
	return (struct bytes){ (const unsigned char *)from, (size_t)(to - from) };
}

/* Text of a file, with the tabs that a diff may have. */
static void put_line(struct arena *a, struct buf *to, const char *text, size_t n)
{
	const char *tab;

	for (; (tab = memchr(text, '\t', n)); n -= (size_t)(tab + 1 - text), text = tab + 1)
		buf_printf(to, "%s\t", text_escape(a, bytes_to(text, tab)));
	buf_printf(to, "%s\n", text_escape(a, bytes_to(text, text + n)));
}

void out_diff(struct ctx *ctx, const char *text)
{
	SCOPED_ARENA *a = arena_new();
	struct buf *to = out_is_table(ctx) ? &ctx->out->buf : &ctx->out->diff;

	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "\n");
		put_line(a, to, text, (size_t)(end - text));
	}
}
