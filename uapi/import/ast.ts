/** clang's syntax tree, as far as it matters here: declarations of types, and where they are. */

export interface Loc {
  offset?: number;
  file?: string;
  line?: number;
  tokLen?: number;
  spellingLoc?: Loc;
  expansionLoc?: Loc;
}

/** A node as `-ast-dump=json` writes it. */
export interface Node {
  id: string;
  kind: string;
  loc?: Loc;
  range?: { begin: Loc; end: Loc };
  name?: string;
  tagUsed?: string;
  completeDefinition?: boolean;
  isBitfield?: boolean;
  isImplicit?: boolean;
  value?: string;
  opcode?: string;
  type?: { qualType: string };
  argType?: { qualType: string };
  /** The type that a typedef declares by the way. */
  ownedTagDecl?: { id: string };
  inner?: Node[];
}

/** Where something is. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A struct or union with its body. */
export interface RecordNode extends Place {
  readonly node: Node;
  readonly endLine: number;
  /** What its members are, in order, those without names included. */
  readonly fields: readonly FieldNode[];
  readonly comment: Node | undefined;
}

export interface FieldNode extends Place {
  readonly node: Node;
  /** The struct without a tag that is declared with the field. */
  readonly unnamed: RecordNode | EnumNode | undefined;
}

export interface EnumNode extends Place {
  readonly node: Node;
  readonly constants: readonly EnumConstant[];
}

export interface EnumConstant extends Place {
  readonly name: string;
  readonly value: bigint;
  readonly comment: Node | undefined;
}

export interface TypedefNode extends Place {
  readonly node: Node;
  readonly unnamed: RecordNode | EnumNode | undefined;
}

/** The types that a source declares. */
export interface Declarations {
  /** By `struct tag` and `union tag`; in order. */
  readonly records: ReadonlyMap<string, RecordNode>;
  /** By `enum tag`. */
  readonly enums: ReadonlyMap<string, EnumNode>;
  /** Those without a tag, too. */
  readonly allEnums: readonly EnumNode[];
  readonly typedefs: ReadonlyMap<string, TypedefNode>;
}

/** Reads a tree. Locations name file and line only where these change, so the order matters. */
class Reader {
  readonly records = new Map<string, RecordNode>();
  readonly enums = new Map<string, EnumNode>();
  readonly allEnums: EnumNode[] = [];
  readonly typedefs = new Map<string, TypedefNode>();
  #file = '';
  #line = 0;

  /** Where a location is: for a macro, where it was used. */
  #at(loc: Loc | undefined): Place {
    if (!loc) return { file: this.#file, line: this.#line };
    if (loc.spellingLoc || loc.expansionLoc) {
      this.#at(loc.spellingLoc);
      return this.#at(loc.expansionLoc);
    }
    if (loc.file !== undefined) this.#file = loc.file;
    if (loc.line !== undefined) this.#line = loc.line;
    return { file: this.#file, line: this.#line };
  }

  /** The place of a node and the line where it ends. */
  #place(node: Node): Place & { endLine: number } {
    const place = this.#at(node.loc);
    this.#at(node.range?.begin);
    return { ...place, endLine: this.#at(node.range?.end).line };
  }

  /** Reads the declarations of one scope: a file's, or a struct's. */
  scope(nodes: readonly Node[]): FieldNode[] {
    const fields: FieldNode[] = [];
    let last: RecordNode | EnumNode | undefined;
    for (const node of nodes) {
      const place = this.#place(node);
      const unnamed = last && declares(node, last.node) ? last : undefined;
      if (node.kind === 'RecordDecl') {
        last = this.#record(node, place);
      } else if (node.kind === 'EnumDecl') {
        last = this.#enum(node, place);
      } else {
        this.#skip(node);
        if (node.kind === 'FieldDecl') fields.push({ node, unnamed, ...place });
        if (node.kind === 'TypedefDecl')
          this.typedefs.set(node.name ?? '', { node, unnamed, ...place });
      }
    }
    return fields;
  }

  #record(node: Node, place: Place & { endLine: number }): RecordNode {
    const fields = this.scope(node.inner ?? []);
    const record = { ...place, node, fields, comment: commentOf(node) };
    if (node.completeDefinition && node.name) {
      this.records.set(`${node.tagUsed} ${node.name}`, record);
    }
    return record;
  }

  #enum(node: Node, place: Place): EnumNode {
    const constants: EnumConstant[] = [];
    let next = 0n;
    for (const child of node.inner ?? []) {
      const at = this.#place(child);
      this.#skip(child);
      if (child.kind !== 'EnumConstantDecl') continue;
      const value = BigInt(constantIn(child) ?? next);
      constants.push({ ...at, name: child.name ?? '', value, comment: commentOf(child) });
      next = value + 1n;
    }
    const found = { ...place, node, constants };
    if (constants.length > 0) this.allEnums.push(found);
    if (constants.length > 0 && node.name) this.enums.set(`enum ${node.name}`, found);
    return found;
  }

  /** Follows the locations of what is of no interest. */
  #skip(node: Node): void {
    for (const child of node.inner ?? []) {
      this.#place(child);
      this.#skip(child);
    }
  }
}

/** Whether a declaration is that of a type without a tag, which stands right before it. */
function declares(node: Node, type: Node): boolean {
  if (/\((anonymous|unnamed)\b/.test(node.type?.qualType ?? '')) return true;
  const owned = node.kind === 'TypedefDecl' ? node.inner?.[0]?.ownedTagDecl : undefined;
  return owned?.id === type.id && !type.name;
}

/** The types that a tree declares. */
export function declarations(tree: unknown): Declarations {
  const reader = new Reader();
  reader.scope((tree as Node).inner ?? []);
  return reader;
}

export function commentOf(node: Node): Node | undefined {
  return node.inner?.find((child) => child.kind === 'FullComment');
}

export function hasAttribute(node: Node, kind: string): boolean {
  return node.inner?.some((child) => child.kind === kind) ?? false;
}

/** What `__attribute__((aligned(n)))` says of a declaration: bytes, the most if there are several. */
export function alignmentOf(node: Node): number | undefined {
  const stated = (node.inner ?? [])
    .filter(({ kind }) => kind === 'AlignedAttr')
    // Without a number it is the most that the machine has.
    .map((attribute) => Number(constantIn(attribute) ?? 16));
  return stated.length === 0 ? undefined : Math.max(...stated);
}

/** The value of the first constant expression in a node, as the compiler evaluated it. */
export function constantIn(node: Node): string | undefined {
  for (const child of node.inner ?? []) {
    if (child.kind === 'ConstantExpr') return child.value;
    const found = child.kind === 'FullComment' ? undefined : constantIn(child);
    if (found !== undefined) return found;
  }
  return undefined;
}
