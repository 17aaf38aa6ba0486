import { describe, expect, it } from 'vitest';
import {
  _IO,
  _IOC,
  _IOC_READ,
  _IOC_WRITE,
  anonymous,
  array,
  type CType,
  charArray,
  choice,
  cstring,
  DMA_BUF_SET_NAME,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_WRITE,
  DMA_HEAP_IOCTL_ALLOC,
  decodeRequest,
  dma_buf_ioctls,
  dma_buf_sync,
  dma_heap_allocation_data,
  dma_heap_ioctls,
  field,
  findIoctl,
  flags,
  formatArg,
  formatChanges,
  formatFlags,
  formatRequest,
  io,
  ioctls,
  iowr,
  O_CLOEXEC,
  O_RDWR,
  O_SYNC,
  OPEN_FLAGS,
  offsetof,
  ptr,
  s32,
  s64,
  struct,
  sync_file_info,
  u16,
  u32,
  u64,
  udmabuf_create_list,
  union,
  type View,
} from '../../ioctl/index.js';

describe('a request', () => {
  it('is told by name, where a table has it', () => {
    expect(formatRequest(DMA_HEAP_IOCTL_ALLOC, dma_heap_ioctls)).toBe('DMA_HEAP_IOCTL_ALLOC');
    expect(formatRequest(DMA_BUF_SET_NAME, dma_heap_ioctls, dma_buf_ioctls)).toBe(
      'DMA_BUF_SET_NAME_B',
    );
  });

  it('is told by its parts otherwise, as strace does', () => {
    const request = _IOC(_IOC_READ | _IOC_WRITE, 'b', 0x3f, 8);
    expect(formatRequest(request, dma_buf_ioctls)).toBe(
      '_IOC(_IOC_READ|_IOC_WRITE, 0x62, 0x3f, 0x8)',
    );
    expect(formatRequest(_IO('d', 0))).toBe('_IOC(_IOC_NONE, 0x64, 0, 0)');
    expect(decodeRequest(request)).toEqual({ dir: 3, type: 'b', nr: 0x3f, size: 8 });
  });
});

describe('an ioctl of a table', () => {
  const table = ioctls({ SET: iowr('\xc2', 1, struct('set', { a: u32 })), RUN: io('\xc2', 2) });
  const longer = _IOC(_IOC_READ | _IOC_WRITE, '\xc2', 1, 24);

  it('is found by its whole number', () => {
    expect(findIoctl(table, table.SET.request)).toBe(table.SET);
    expect(findIoctl(table, longer)).toBeUndefined();
    expect(findIoctl({}, table.SET.request)).toBeUndefined();
  });
});

describe('a struct', () => {
  it('is told by its fields, with flags by name', () => {
    const data = dma_heap_allocation_data.create({ len: 8192n, fd_flags: O_RDWR | O_CLOEXEC });
    expect(formatArg(dma_heap_allocation_data, data)).toBe(
      '{len=8192, fd=0, fd_flags=O_RDWR|O_CLOEXEC, heap_flags=0}',
    );
  });

  it('tells addresses in hex and NULL by name', () => {
    const info = sync_file_info.create({ name: 'a', status: -2, sync_fence_info: 0xfff0n });
    expect(formatArg(sync_file_info, info)).toBe(
      '{name="a", status=-2, flags=0, num_fences=0, pad=0, sync_fence_info=0xfff0}',
    );
    expect(formatArg(ptr, ptr.create())).toBe('[NULL]');
  });

  it('tells nested structs, arrays and flexible arrays', () => {
    const outer = struct('outer', { in: struct({ x: s32, y: s64 }), a: array(u16, 2) });
    expect(formatArg(outer, outer.create({ in: { y: -1n }, a: [1, 2] }))).toBe(
      '{in={x=0, y=-1}, a=[1, 2]}',
    );
    const list = udmabuf_create_list.create({ flags: 1, count: 1, list: [{ memfd: 3 }] });
    expect(formatArg(udmabuf_create_list, list)).toBe(
      '{flags=UDMABUF_FLAGS_CLOEXEC, count=1, list=[{memfd=3, __pad=0, offset=0, size=0}]}',
    );
  });

  it('stops after 32 elements', () => {
    const long: CType = array(u16, 40);
    expect(formatArg(long, long.create())).toBe(`[${'0, '.repeat(32)}...]`);
  });

  it('that is shorter than its type has the fields that are there', () => {
    const type = struct('set', { a: u32, b: u16, c: u64 });
    const shown = (size: number) => formatArg(type, { bytes: new Uint8Array(size).fill(1) });
    expect([0, 4, 5, 6, 8, 15, 16].map(shown)).toEqual([
      '{}',
      '{a=16843009}',
      '{a=16843009, ...}',
      '{a=16843009, b=257}',
      '{a=16843009, b=257}',
      '{a=16843009, b=257, ...}',
      '{a=16843009, b=257, c=72340172838076673}',
    ]);
  });

  it('that is longer has what lies beyond, unless it is zero', () => {
    const type = struct('set', { a: u32 });
    const bytes = Uint8Array.of(5, 0, 0, 0, 0, 0);
    expect(formatArg(type, { bytes })).toBe('{a=5}');
    bytes[5] = 7;
    expect(formatArg(type, { bytes })).toBe('{a=5, /* bytes 4..5 */ "\\x00\\x07"}');
  });

  it('is told in bytes if it is too short for a type that has no fields', () => {
    expect(formatArg(u32, { bytes: Uint8Array.of(1, 0xab) })).toBe('"\\x01\\xab"');
  });
});

describe('what a call has changed', () => {
  const point = struct('point', { x: s32, y: s32 });
  const job = struct('job', {
    from: point,
    to: array(point, 2),
    name: charArray(16),
    _: anonymous(union({ word: u32, halves: array(u16, 2) })),
    sum: u32,
  });
  const init = { from: { x: 1, y: 2 }, to: [{ x: 3 }, { x: 4 }], name: 'a, b', word: 0x20001 };
  const changes = (change: (after: View<typeof job>) => void) => {
    const after = job.create(init);
    change(after);
    return formatChanges(job, job.create(init), after);
  };

  it('is nothing, or the fields that are others, whole', () => {
    expect(changes(() => {})).toBe('');
    expect(
      changes((after) => {
        after.sum = 1;
      }),
    ).toBe('{sum=1}');
    expect(
      changes((after) => {
        after.from.y = 3;
      }),
    ).toBe('{from={x=1, y=3}}');
    expect(changes((after) => after.to.bytes.set([9], 8))).toBe('{to=[{x=3, y=0}, {x=9, y=0}]}');
  });

  it('may have the text of a field that is as before', () => {
    // By its text alone, "x=1" would not be new.
    expect(
      changes((after) => {
        after.from = point.create({ x: 2, y: 1 });
      }),
    ).toBe('{from={x=2, y=1}}');
    expect(
      changes((after) => {
        after.name = 'b, from={x=1';
      }),
    ).toBe('{name="b, from={x=1"}');
  });

  it('is not what lies behind the end of a string', () => {
    expect(changes((after) => after.bytes.set([0x78], offsetof(job, 'name') + 10))).toBe('');
  });

  it('is every member of a union that is another', () => {
    expect(
      changes((after) => {
        after.word = 1;
      }),
    ).toBe('{word=1, halves=[1, 0]}');
  });

  it('is all of what is no struct', () => {
    expect(formatChanges(u32, u32.create(1), u32.create(2))).toBe('[2]');
    expect(
      formatChanges(
        array(u16, 2),
        { bytes: new Uint8Array(4) },
        { bytes: Uint8Array.of(1, 0, 2, 0) },
      ),
    ).toBe('[1, 2]');
  });
});

describe('flags', () => {
  const sync = (value: number) =>
    formatArg(dma_buf_sync, dma_buf_sync.create({ flags: BigInt(value) }));

  it('prefer the name of several bits, and tell a choice that is 0', () => {
    expect(sync(DMA_BUF_SYNC_RW)).toBe('{flags=DMA_BUF_SYNC_START|DMA_BUF_SYNC_RW}');
    expect(sync(DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE)).toBe(
      '{flags=DMA_BUF_SYNC_END|DMA_BUF_SYNC_WRITE}',
    );
  });

  it('tell what no name explains in hex', () => {
    expect(sync(0x41)).toBe('{flags=DMA_BUF_SYNC_START|DMA_BUF_SYNC_READ|0x40}');
    expect(formatFlags(0x40000002, OPEN_FLAGS)).toBe('O_RDWR|0x40000000');
    expect(formatFlags(3 | O_SYNC, OPEN_FLAGS)).toBe('O_ACCMODE|O_SYNC');
    expect(formatFlags(0, OPEN_FLAGS)).toBe('O_RDONLY');
    expect(formatFlags(0, [])).toBe('0');
    expect(formatFlags(5, [])).toBe('0x5');
  });

  it('tell a value of an enumeration whole', () => {
    const kind = field(s32, { flags: choice(0xffffffff, { KIND_A: 1, KIND_B: 2 }) });
    const tagged = struct('tagged', { kind });
    expect(formatArg(tagged, tagged.create({ kind: 2 }))).toBe('{kind=KIND_B}');
    expect(formatArg(tagged, tagged.create({ kind: 3 }))).toBe('{kind=0x3}');
    expect(formatArg(tagged, tagged.create({ kind: -1 }))).toBe('{kind=0xffffffff}');
  });

  it('are not 0', () => {
    expect(() => flags({ NOTHING: 0 })).toThrow(RangeError);
  });
});

describe('a string', () => {
  const quoted = (text: string | Uint8Array) =>
    formatArg(cstring, cstring.view(Buffer.concat([Buffer.from(text), Buffer.alloc(1)])));

  // The expected text is what strace 6.1 printed for open(2) with this name.
  it('is escaped as strace escapes it', () => {
    const bytes = Buffer.from('a"b\\\n\x01\x012\x7fé\x1b7');
    expect(quoted(bytes)).toBe('"a\\"b\\\\\\n\\1\\0012\\177\\303\\251\\0337"');
  });

  it('is marked as cut off when its NUL is missing', () => {
    const name = struct('named', { name: charArray(4) });
    const view = name.create();
    view.bytes.fill(0x78);
    expect(formatArg(name, view)).toBe('{name="xxxx"...}');
  });
});
