/** Arguments of ioctls: taken from a caller's memory, and given back to it, as a row of a table says. */

import {
  _IOC_DIR,
  _IOC_READ,
  _IOC_SIZE,
  _IOC_WRITE,
  type ArrayView,
  array,
  type CType,
  type Field,
  type IoctlArg,
  type IoctlDef,
  type StructType,
} from '../../ioctl/index.js';
import { PATH_MAX } from '../abi/constants.js';
import { type ErrnoName, errno } from '../errno.js';
import { allocate, memdupUser, strndupUser, type UserMemory } from '../mm/uaccess.js';

/** An array that a struct has the address of. */
export interface UserArray<E extends CType = CType> {
  readonly element: E;
  /** The field that has its address; `m.planes` for one within another. */
  readonly pointer: string;
  /** The field that has the number of its elements. */
  readonly count: string;
  /** More of them are `tooMany`, EINVAL by default. */
  readonly max?: number;
  readonly tooMany?: ErrnoName;
  /** What is copied: `_IOC_WRITE` in, `_IOC_READ` out, by default both. */
  readonly copy?: number;
  /** Whether the pointer is one in this case; by default always. */
  when?(arg: IoctlArg): boolean;
}

/** What a row says of its argument. */
export interface ArgumentOptions {
  /** Of a struct, the last field that the caller gives: what is behind it is zero, whatever it has there. */
  readonly clearAfter?: string;
  /** Of a string: bytes, its NUL included, and the errno for a longer one (EINVAL). */
  readonly string?: { readonly max: number; readonly tooLong?: 'EINVAL' | 'ENAMETOOLONG' };
  /** Of a struct that ends with a counted array: its elements, and the errno for more (EINVAL). */
  readonly counted?: { readonly max: number; readonly tooMany?: ErrnoName };
  readonly arrays?: readonly UserArray[];
}

/** How structs of other sizes than the definition's are met. */
export interface SizeRule {
  /** The request says which size the caller's struct has. */
  readonly anySize: boolean;
  /** Only what both the request and the definition say is copied. */
  readonly directionOfRequest: boolean;
  /** What the caller has beyond the struct has to be zero: E2BIG. */
  readonly zeroBeyond: boolean;
}

/** An array that was taken. */
interface TakenArray {
  readonly which: UserArray;
  /** As the pointer had it. */
  readonly address: number | bigint;
  readonly view: ArrayView;
}

/** An argument that was taken. */
export interface Taken {
  /** What the handler is given. */
  readonly view: IoctlArg;
  /** What of it the caller gets back, once the handler is done. */
  readonly bytes: Uint8Array;
  readonly arrays: readonly TakenArray[];
}

/** What follows from the definition of an ioctl and from its row. */
export class ArgumentKind {
  readonly type: CType;
  readonly #copy: number;
  readonly #byRequest: boolean;
  readonly #anySize: boolean;
  readonly #zeroBeyond: boolean;
  /** Bytes from the start that the caller gives. */
  readonly #given: number;
  readonly #counted: Field | undefined;
  readonly #options: ArgumentOptions;
  /** The whole struct, and nothing else, comes from the caller. */
  readonly #isWhole: boolean;
  /** For {@link takeSpare}. */
  #spare: IoctlArg | undefined;

  /** @throws TypeError for a field that there is not. */
  constructor(type: CType, def: IoctlDef, rule: SizeRule, options: ArgumentOptions) {
    this.type = type;
    this.#copy = def.copy ?? def.dir;
    this.#byRequest = rule.directionOfRequest && def.copy === undefined;
    // A number whose size is that of something else says nothing of the argument.
    this.#anySize = rule.anySize && _IOC_SIZE(def.request) === type.size;
    this.#zeroBeyond = rule.zeroBeyond;
    this.#options = options;
    this.#given = Number.POSITIVE_INFINITY;
    const fields = isStruct(type) ? type.fields : [];
    if (options.clearAfter !== undefined) {
      const last = fieldOf(def, fields, options.clearAfter);
      this.#given = last.offset + last.type.size;
    }
    const tail = fields.at(-1);
    if (tail?.countedBy !== undefined) this.#counted = tail;
    this.#isWhole =
      this.#copy === _IOC_WRITE &&
      !this.#byRequest &&
      !this.#counted &&
      type.kind !== 'cstring' &&
      options.clearAfter === undefined;
    for (const { pointer, count } of options.arrays ?? []) {
      for (const path of [pointer, count]) fieldOf(def, fields, path.split('.')[0] as string);
    }
  }

  /** Whether the caller is given anything back. */
  get copiesOut(): boolean {
    return (this.#copy & _IOC_READ) !== 0 || this.#options.arrays !== undefined;
  }

  /** Bytes of the caller's struct. */
  sizeOf(request: number): number {
    return this.#anySize ? _IOC_SIZE(request) : this.type.size;
  }

  #directions(request: number): number {
    return this.#byRequest ? this.#copy & _IOC_DIR(request) : this.#copy;
  }

  /** EFAULT, E2BIG, ENOMEM, and what the row says. */
  take(mm: UserMemory, request: number, address: number): Taken {
    const { type } = this;
    if (type.kind === 'cstring') {
      const { max, tooLong } = this.#options.string ?? { max: PATH_MAX };
      const view = type.create(strndupUser(mm, address, max, tooLong) as never);
      return { view, bytes: view.bytes, arrays: NO_ARRAYS };
    }
    const size = this.sizeOf(request);
    let bytes: Uint8Array = new Uint8Array(Math.max(type.size, size));
    const isGiven = (this.#directions(request) & _IOC_WRITE) !== 0;
    if (isGiven) mm.read(address, bytes.subarray(0, Math.min(size, this.#given)));
    if (this.#zeroBeyond && size > type.size && bytes.subarray(type.size).some(Boolean)) {
      throw errno('E2BIG');
    }
    if (isGiven && this.#counted) bytes = this.#takeCounted(mm, address, bytes, this.#counted);
    const own = this.#counted ? bytes : bytes.subarray(0, type.size);
    const view = type.view(own);
    const arrays = this.#options.arrays ? this.#takeArrays(mm, view) : NO_ARRAYS;
    return { view, bytes: this.#counted ? bytes : bytes.subarray(0, size), arrays };
  }

  /**
   * The argument of a request that copies nothing out, in memory that is used again: to be given to `putSpare` by
   * who is done with it. EFAULT.
   */
  takeSpare(mm: UserMemory, request: number, address: number): IoctlArg {
    const spare = this.#spare;
    if (spare === undefined || (this.#anySize && _IOC_SIZE(request) !== this.type.size)) {
      return this.take(mm, request, address).view;
    }
    this.#spare = undefined;
    mm.read(address, spare.bytes);
    return spare;
  }

  putSpare(view: IoctlArg): void {
    if (this.#isWhole) this.#spare = view;
  }

  /** The struct with the array behind it. */
  #takeCounted(mm: UserMemory, address: number, head: Uint8Array, tail: Field): Uint8Array {
    const count = Number(valueAt(this.type.view(head), tail.countedBy as string));
    const { max = Number.POSITIVE_INFINITY, tooMany = 'EINVAL' } = this.#options.counted ?? {};
    if (count > max) throw errno(tooMany);
    const { element } = tail.type as unknown as { element: CType };
    const rest = memdupUser(mm, address + tail.offset, count * element.size);
    const all = new Uint8Array(Math.max(head.length, tail.offset + rest.length));
    all.set(head);
    all.set(rest, tail.offset);
    return all;
  }

  #takeArrays(mm: UserMemory, view: IoctlArg): TakenArray[] {
    const { arrays = [] } = this.#options;
    return arrays
      .filter((which) => which.when?.(view) ?? true)
      .map((which) => {
        const { copy = _IOC_READ | _IOC_WRITE, count, element, max, pointer, tooMany } = which;
        const n = Number(valueAt(view, count));
        if (max !== undefined && n > max) throw errno(tooMany ?? 'EINVAL');
        const address = valueAt(view, pointer);
        const isGiven = (copy & _IOC_WRITE) !== 0;
        const size = n * element.size;
        const bytes = isGiven ? memdupUser(mm, Number(address), size) : allocate(size);
        return { which, address, view: array(element, n).view(bytes) };
      });
  }

  /** Writes to the caller's memory what the handler has made of the argument. EFAULT. */
  giveBack(mm: UserMemory, request: number, address: number, taken: Taken): void {
    for (const { which, address: at, view } of taken.arrays) {
      if ((which.copy ?? _IOC_READ) & _IOC_READ) mm.write(Number(at), view.bytes);
    }
    if (!(this.#directions(request) & _IOC_READ)) return;
    // Where an array lies is the caller's to say, whatever the handler has made of it.
    for (const { which, address: at } of taken.arrays) setValueAt(taken.view, which.pointer, at);
    mm.write(address, taken.bytes);
  }
}

const NO_ARRAYS: readonly TakenArray[] = [];

function isStruct(type: CType): type is StructType {
  return type.kind === 'struct' || type.kind === 'union';
}

function fieldOf(def: IoctlDef, fields: readonly Field[], name: string): Field {
  const found = fields.find((field) => field.name === name);
  if (!found) throw new TypeError(`${def.name}: its argument has no field ${name}`);
  return found;
}

function holderOf(view: IoctlArg, path: string): [holder: Record<string, unknown>, name: string] {
  const names = path.split('.');
  const name = names.pop() as string;
  let holder = view as unknown as Record<string, unknown>;
  for (const each of names) holder = holder[each] as Record<string, unknown>;
  return [holder, name];
}

function valueAt(view: IoctlArg, path: string): number | bigint {
  const [holder, name] = holderOf(view, path);
  return holder[name] as number | bigint;
}

function setValueAt(view: IoctlArg, path: string, value: number | bigint): void {
  const [holder, name] = holderOf(view, path);
  holder[name] = value;
}
