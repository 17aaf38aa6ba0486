/** Arrays with the C ABI's layout, as typed views over bytes. */
import {
  bytesAt,
  type CType,
  CView,
  type Init,
  type IoctlArg,
  inspect,
  type Plain,
  type Value,
} from './ctype.js';

/** An array in memory; indexing reads and writes the bytes themselves. */
export interface ArrayView<V = unknown, P = V> extends IoctlArg, Iterable<V> {
  readonly length: number;
  [index: number]: V;
  /** A copy as a plain array. */
  toObject(): P[];
}

/** `T[n]` in C. */
export interface ArrayType<E extends CType = CType>
  extends CType<ArrayView<Value<E>, Plain<E>>, ArrayLike<Init<E>>, Plain<E>[]> {
  readonly kind: 'array' | 'flexible';
  readonly element: E;
  view(bytes: Uint8Array, offset?: number): ArrayView<Value<E>, Plain<E>>;
  create(init?: ArrayLike<Init<E>>): ArrayView<Value<E>, Plain<E>>;
}

/**
 * What the views of all arrays have in common. Their elements are no properties: to make these would take long for an
 * array whose length a program says. What an index names is found when it is asked for, behind the prototype.
 */
class Elements extends CView {
  readonly length: number;
  readonly #element: CType;

  constructor(type: ArrayType, length: number, bytes: Uint8Array, offset: number) {
    super(type, bytes, offset);
    this.length = length;
    this.#element = type.element;
  }

  /** Undefined past the end. */
  static get(view: Elements, index: number): unknown {
    if (index >= view.length) return undefined;
    return CView.element(view, index, view.#element, index * view.#element.size);
  }

  /** False past the end: a TypeError for who assigns, as that must not quietly become a property. */
  static set(view: Elements, index: number, value: unknown): boolean {
    if (index >= view.length) return false;
    CView.setElement(view, index, view.#element, index * view.#element.size, value);
    return true;
  }
}

/** The index that a property is, as the language defines it; undefined for another. */
function indexOf(key: PropertyKey): number | undefined {
  if (typeof key !== 'string') return undefined;
  const index = Number(key) >>> 0;
  return String(index) === key ? index : undefined;
}

const byIndex: ProxyHandler<object> = {
  // Nobody says whose. For the methods of Array.prototype, which ask for none past the end.
  has: (target, key) => indexOf(key) !== undefined || Reflect.has(target, key),
  get(target, key, view: Elements) {
    const index = indexOf(key);
    return index === undefined ? Reflect.get(target, key, view) : Elements.get(view, index);
  },
  set(_target, key, value, view: Elements) {
    const index = indexOf(key);
    return index !== undefined && Elements.set(view, index, value);
  },
};
Object.setPrototypeOf(
  Elements.prototype,
  new Proxy(Object.create(CView.prototype) as object, byIndex),
);

/** `element[n]`. Writing takes up to n elements; the rest becomes zero. */
export function array<E extends CType>(element: E, n: number): ArrayType<E> {
  class View extends Elements {
    constructor(bytes: Uint8Array, offset: number) {
      super(type as ArrayType, n, bytes, offset);
    }
    *[Symbol.iterator](): Iterator<Value<E>> {
      const self = view(this);
      for (let i = 0; i < n; i++) yield self[i] as Value<E>;
    }
    toObject() {
      return type.plain(view(this));
    }
    [inspect](_depth: number, options: object, print: (value: unknown, options: object) => string) {
      return print(this.toObject(), options);
    }
  }
  // What an index gives is what `element` loads: the compiler cannot see it.
  const view = (made: CView) => made as unknown as ArrayView<Value<E>, Plain<E>>;

  const type: ArrayType<E> = {
    kind: 'array',
    name: `${element.name}[${n}]`,
    size: n * element.size,
    align: element.align,
    element,
    view: (bytes, offset = 0) => view(new View(bytes, offset)),
    create(init) {
      const bytes = new Uint8Array(type.size);
      if (init) type.store(new DataView(bytes.buffer), 0, init, type.name);
      return type.view(bytes);
    },
    load: (memory, at) => type.view(bytesAt(memory, at, type.size)),
    store(memory, at, values, where) {
      if (values.length > n) throw new RangeError(`${where}: ${values.length} elements in ${n}`);
      const own = bytesAt(memory, at, type.size);
      if (values instanceof CView) {
        own.set(values.bytes);
        own.fill(0, values.bytes.length);
        return;
      }
      const given = Array.from(values);
      own.fill(0);
      for (const [i, value] of given.entries()) {
        element.store(memory, at + i * element.size, value, `${where}[${i}]`);
      }
    },
    plain: (value) => Array.from(value, (v) => element.plain(v) as Plain<E>),
  };
  return type;
}

/**
 * `element[]`, the last field of a struct: it counts 0 in `sizeof`. Its length is what `create`
 * is given, or as many whole elements as the viewed memory has.
 */
export function flexible<E extends CType>(element: E): ArrayType<E> {
  const whole = (available: number) => Math.max(0, Math.floor(available / element.size));
  const type: ArrayType<E> = {
    kind: 'flexible',
    name: `${element.name}[]`,
    size: 0,
    align: element.align,
    element,
    flexible: {
      covers: (available) => whole(available) * element.size,
      needs: (init) => init.length * element.size,
    },
    view: (bytes, offset = 0) => array(element, whole(bytes.length - offset)).view(bytes, offset),
    create: (init) => array(element, init?.length ?? 0).create(init),
    load: (memory, at) => type.view(bytesAt(memory, at, memory.byteLength - at)),
    store(memory, at, values, where) {
      array(element, whole(memory.byteLength - at)).store(memory, at, values, where);
    },
    plain: (value) => Array.from(value, (v) => element.plain(v) as Plain<E>),
  };
  return type;
}
