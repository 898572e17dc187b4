/* A progress bar on standard error: only on a terminal, only for work of more than a second, and gone without a trace
 * before anything else is written. */
#include "cli/internal.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"

enum { AFTER_MS = 1000, EVERY_MS = 100, BAR = 24 };

static void put(const char *text)
{
	struct err ignored = { 0 };

	if (fs_write_fd(STDERR_FILENO, bytes_of(text), &ignored) != 0)
		return; /* a lost bar is no reason to stop */
}

void progress_erase(struct progress *p)
{
	if (p->drawn_ms)
		put("\r\033[K");
	p->drawn_ms = 0;
}

static void put_left(struct buf *line, int64_t secs)
{
	if (secs >= 3600)
		buf_printf(line, "%lldh %lldm left", (long long)(secs / 3600), (long long)(secs / 60 % 60));
	else if (secs >= 60)
		buf_printf(line, "%lldm %llds left", (long long)(secs / 60), (long long)(secs % 60));
	else
		buf_printf(line, "%llds left", (long long)secs);
}

void progress_draw(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct progress *p = &((struct out *)arg)->progress;
	SCOPED_BUF line = buf_init(BUF_TEXT);
	int64_t now = tm_mono_ms(), ms;
	double rate;

	if (!p->enabled)
		return;
	if (p->start_ms == 0 || done < p->done) /* a new piece of work */
		p->start_ms = now;
	p->done = done;
	ms = now - p->start_ms;
	if (total && done >= total) {
		progress_erase(p);
		p->start_ms = 0;
		return;
	}
	if (ms < AFTER_MS || now - p->drawn_ms < EVERY_MS)
		return;
	rate = (double)done * 1000 / (double)ms;
	buf_printf(&line, "\r%s ", what);
	if (total) {
		double part = (double)done / (double)total;
		int full = (int)(part * BAR);

		buf_printf(&line, "[%.*s%*s] %d%% %llu/%llu", full, "########################", BAR - full, "",
			   (int)(part * 100), (unsigned long long)done, (unsigned long long)total);
	} else {
		buf_printf(&line, "%llu", (unsigned long long)done);
	}
	buf_printf(&line, rate < 10 ? " %.1f/s " : " %.0f/s ", rate);
	if (total && done)
		put_left(&line, (int64_t)((double)(total - done) / rate) + 1);
	buf_puts(&line, "\033[K");
	put(buf_str(&line));
	p->drawn_ms = now;
}
