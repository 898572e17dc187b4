/* The pack writer: objects go to a temporary file as they come; pack_end writes the index (version 2), makes both
 * durable and renames them, the pack before its index, because git sees a pack only once its index is there. Nothing
 * is compressed: `repo gc` does that. Only this file uses zlib. */
#include "state/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/fs.h"
#include "state/locks.h"
#include "state/oid.h"
#include "state/packfile.h"

/* Objects go in as they are: names, keys and signatures hardly shrink, and each would be inflated again by every
 * rebuild of the cache. `git gc` finds what they have in common. zlib's usual memory, which it clears for each object,
 * would cost more than both. */
enum { FLUSH = 256 << 10, LEVEL = 0, WINDOW_BITS = 9, MEM_LEVEL = 1 };

struct pack {
	struct arena *arena;
	struct store *store;
	struct hash *hash;
	char *tmp, *tmp_idx, *tmp_keep, *keep;
	char *final; /* "…/pack-<hex>", without suffix; NULL before pack_end */
	int fd;
	uint64_t off;      /* of the next object */
	struct buf out;    /* not written yet */
	unsigned char *z;  /* compressed object, zcap bytes */
	size_t zcap;
	z_stream deflate;
	struct pack_entry *entries;
	size_t n;
	uint32_t *slots;   /* hash table: 1 + position in entries; 0 = free */
	size_t nslots;     /* a power of two, at least twice n */
};

static size_t slot_of(const struct oid *o)
{
	size_t h;

	memcpy(&h, o->b, sizeof(h));
	return h;
}

static uint32_t *find_slot(const struct pack *p, const struct oid *o)
{
	size_t i = slot_of(o) & (p->nslots - 1);

	while (p->slots[i] && !oid_equal(&p->entries[p->slots[i] - 1].oid, o))
		i = (i + 1) & (p->nslots - 1);
	return &p->slots[i];
}

bool pack_has(const struct pack *p, const struct oid *o)
{
	return *find_slot(p, o) != 0;
}

size_t pack_count(const struct pack *p)
{
	return p->n;
}

void pack_note(struct pack *p, const struct oid *o, uint32_t crc, uint64_t off)
{
	p->entries = arena_grow(p->arena, p->entries, p->n, sizeof(*p->entries));
	p->entries[p->n++] = (struct pack_entry){ *o, crc, off };
	if (p->n * 2 > p->nslots) {
		p->nslots *= 4;
		p->slots = arena_alloc(p->arena, p->nslots, sizeof(*p->slots));
		for (size_t i = 0; i < p->n; i++)
			*find_slot(p, &p->entries[i].oid) = (uint32_t)(i + 1);
	} else {
		*find_slot(p, o) = (uint32_t)p->n;
	}
}

uint64_t pack_offset(const struct pack *p)
{
	return p->off;
}

static int flush(struct pack *p, struct err *e)
{
	if (p->out.over)
		return err_set(e, ERR_INVALID, "an object is too large");
	if (fs_write_fd(p->fd, buf_bytes(&p->out), e))
		return err_ctx(e, "%s", p->tmp);
	buf_clear(&p->out);
	return 0;
}

int pack_raw(struct pack *p, struct bytes b, struct err *e)
{
	buf_put(&p->out, b.p, b.n);
	p->off += b.n;
	return p->out.n < FLUSH && !p->out.over ? 0 : flush(p, e);
}

int pack_begin(struct arena *a, struct store *s, const char *tmp_dir, struct pack **ret, struct err *e)
{
	static const unsigned char head[12] = { 'P', 'A', 'C', 'K', 0, 0, 0, 2 };
	struct pack *p = arena_alloc(a, 1, sizeof(*p));

	p->arena = a;
	p->store = s;
	p->out = buf_init(BUF_BIG);
	p->nslots = 256;
	p->slots = arena_alloc(a, p->nslots, sizeof(*p->slots));
	p->tmp = tmp_path(a, tmp_dir, "pack");
	p->tmp_idx = tmp_path(a, tmp_dir, "idx");
	p->tmp_keep = tmp_path(a, tmp_dir, "keep");
	p->keep = fs_join(a, tmp_dir, "keep");
	p->fd = open(p->tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0444);
	if (p->fd < 0)
		return err_sys(e, p->tmp);
	store_share(s, p->fd);
	p->hash = hash_new(a);
	if (deflateInit2(&p->deflate, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		pack_abort(p);
		return err_set(e, ERR_IO, "zlib does not start");
	}
	if (pack_raw(p, (struct bytes){ head, sizeof(head) }, e)) {
		pack_abort(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* Type and size: three bits and four, then seven a byte, lowest first. */
static size_t object_head(enum obj_type type, size_t n, unsigned char head[16])
{
	size_t k = 0;

	head[0] = (unsigned char)((unsigned)type << 4 | (n & 15));
	for (n >>= 4; n; n >>= 7) {
		head[k] |= 0x80;
		head[++k] = (unsigned char)(n & 0x7f);
	}
	return k + 1;
}

static int compress_into(struct pack *p, struct bytes b, struct bytes *ret, struct err *e)
{
	static Bytef nothing[1];
	uLong most = deflateBound(&p->deflate, (uLong)b.n);

	if (b.n > BUF_BIG / 2)
		return err_set(e, ERR_INVALID, "an object is too large");
	if (p->zcap < most) {
		p->zcap = 2 * most;
		p->z = arena_alloc(p->arena, p->zcap, 1);
	}
	deflateReset(&p->deflate);
	/* zlib reads only, but its pointer is not const */
	p->deflate.next_in = b.n ? (Bytef *)(uintptr_t)b.p : nothing;
	p->deflate.avail_in = (uInt)b.n;
	p->deflate.next_out = p->z;
	p->deflate.avail_out = (uInt)most;
	if (deflate(&p->deflate, Z_FINISH) != Z_STREAM_END)
		return err_set(e, ERR_IO, "zlib does not compress");
	*ret = (struct bytes){ p->z, most - p->deflate.avail_out };
	return 0;
}

void pack_name(struct pack *p, enum obj_type type, struct bytes b, struct oid *ret)
{
	hash_object(p->hash, type, b, ret);
}

int pack_add(struct pack *p, enum obj_type type, struct bytes b, struct oid *ret, struct err *e)
{
	unsigned char head[16] = { 0 };
	struct bytes h = { head, object_head(type, b.n, head) }, z;
	uint64_t off = p->off;

	hash_object(p->hash, type, b, ret);
	if (pack_has(p, ret))
		return 0;
	if (compress_into(p, b, &z, e) || pack_raw(p, h, e) || pack_raw(p, z, e))
		return -1;
	pack_note(p, ret, (uint32_t)crc32(crc32(0, h.p, (uInt)h.n), z.p, (uInt)z.n), off);
	return 0;
}

static void put32(struct buf *b, uint64_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_putc(b, (char)(v >> shift & 0xff));
}

static int by_oid(const void *x, const void *y)
{
	const struct pack_entry *p = x, *q = y;

	return memcmp(p->oid.b, q->oid.b, sizeof(p->oid.b));
}

/* gitformat-pack(5), version 2: fan-out, names, CRCs, offsets, offsets beyond 2 GiB, both checksums. */
static void build_index(struct pack *p, const struct oid *pack_sum, struct buf *out)
{
	struct oid sum;
	uint64_t far = 0;

	qsort(p->entries, p->n, sizeof(*p->entries), by_oid);
	buf_put(out, "\377tOc\0\0\0\2", 8);
	for (size_t f = 0, i = 0; f < 256; f++) {
		while (i < p->n && p->entries[i].oid.b[0] <= f)
			i++;
		put32(out, i);
	}
	for (size_t i = 0; i < p->n; i++)
		buf_put(out, p->entries[i].oid.b, sizeof(sum.b));
	for (size_t i = 0; i < p->n; i++)
		put32(out, p->entries[i].crc);
	for (size_t i = 0; i < p->n; i++)
		put32(out, p->entries[i].off >> 31 ? UINT32_C(0x80000000) | far++ : p->entries[i].off);
	for (size_t i = 0; i < p->n; i++)
		if (p->entries[i].off >> 31) {
			put32(out, p->entries[i].off >> 32);
			put32(out, p->entries[i].off & UINT32_MAX);
		}
	buf_put(out, pack_sum->b, sizeof(pack_sum->b));
	hash_add(p->hash, buf_bytes(out));
	hash_end(p->hash, &sum);
	buf_put(out, sum.b, sizeof(sum.b));
}

/* A pack that has been written in part: what is there is read again, from the page cache. */
static int hash_written(struct pack *p, const unsigned char count[4], struct err *e)
{
	unsigned char *block = arena_alloc(p->arena, FLUSH, 1);
	off_t at = 0;
	ssize_t n;

	if (flush(p, e))
		return -1;
	if (pwrite(p->fd, count, 4, 8) != 4)
		return err_sys(e, p->tmp);
	while ((n = pread(p->fd, block, FLUSH, at)) > 0) {
		hash_add(p->hash, (struct bytes){ block, (size_t)n });
		at += n;
	}
	return n < 0 ? err_sys(e, p->tmp) : 0;
}

/* The header's count is known only now, so only now can the checksum be made. */
static int finish_pack(struct pack *p, struct oid *ret_sum, struct err *e)
{
	const unsigned char count[4] = { (unsigned char)(p->n >> 24), (unsigned char)(p->n >> 16),
					 (unsigned char)(p->n >> 8),
					 (unsigned char)p->n };

	if (p->out.n == p->off) {
		memcpy(p->out.p + 8, count, 4);
		hash_add(p->hash, buf_bytes(&p->out));
	} else if (hash_written(p, count, e)) {
		return -1;
	}
	hash_end(p->hash, ret_sum);
	buf_put(&p->out, ret_sum->b, sizeof(ret_sum->b));
	return flush(p, e);
}

static int finish_index(struct pack *p, const struct oid *pack_sum, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_BIG);

	build_index(p, pack_sum, &text);
	if (text.over)
		return err_set(e, ERR_INVALID, "too many objects in one commit");
	return tmp_write(p->store, p->tmp_idx, buf_bytes(&text), 0444, true, e);
}

/* The pack is on its way to the disk while its index is written, so that one commit of the file system's journal does
 * for both. */
static int write_both(struct pack *p, struct oid *ret_sum, struct err *e)
{
	if (finish_pack(p, ret_sum, e))
		return -1;
	sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint; fsync tells what went wrong */
	if (finish_index(p, ret_sum, e))
		return -1;
	return fsync(p->fd) ? err_sys(e, p->tmp) : 0;
}

/* Another name for one file that stays costs a third of a new file; where there are no such links, or it is of another
 * user, a new one does. */
static int put_keep(struct pack *p, struct err *e)
{
	const char *path = arena_printf(p->arena, "%s.keep", p->final);
	bool first;

	if (link(p->keep, path) == 0)
		return 0;
	first = errno == ENOENT;
	if (tmp_write(p->store, p->tmp_keep, bytes_of(PACK_KEEP), 0644, first, e))
		return -1;
	if (first && link(p->tmp_keep, p->keep))
		first = false; /* then the next one tries again */
	return rename(p->tmp_keep, path) ? err_sys(e, path) : 0;
}

static int publish(struct pack *p, struct err *e)
{
	const char *dir = arena_printf(p->arena, "%s/objects/pack", store_git_dir(p->store));
	const char *base = p->final;

	if (!fs_is_dir(dir) && fs_mkdirs(dir, 0777, e))
		return -1;
	if (put_keep(p, e))
		return -1;
	if (rename(p->tmp, arena_printf(p->arena, "%s.pack", base)) ||
	    rename(p->tmp_idx, arena_printf(p->arena, "%s.idx", base)))
		return err_sys(e, base);
	return fs_sync_dir(dir, e);
}

int pack_end(struct pack *p, struct err *e)
{
	struct oid sum;

	if (!p->n)
		return 0;
	if (write_both(p, &sum, e))
		return -1;
	p->final = arena_printf(p->arena, "%s/objects/pack/pack-%s", store_git_dir(p->store), oid_hex(p->arena, &sum));
	return publish(p, e);
}

const char *pack_path(const struct pack *p)
{
	return p->final;
}

void pack_unkeep(struct pack *p)
{
	if (p->final)
		unlink(arena_printf(p->arena, "%s.keep", p->final));
}

void pack_abort(struct pack *p)
{
	if (!p || p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	unlink(p->tmp); /* all are gone already when they were published */
	unlink(p->tmp_idx);
	unlink(p->tmp_keep);
	deflateEnd(&p->deflate);
	hash_free(p->hash);
	buf_release(&p->out);
}
