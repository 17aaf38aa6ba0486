/** The syntax of TypeScript sources, as far as declarations of an interface go. */
import { parse } from '@babel/parser';

export type Tree = ReturnType<typeof parse>;
export type Statement = Tree['program']['body'][number];
export type Declarator = Extract<
  Statement,
  { type: 'VariableDeclaration' }
>['declarations'][number];
export type Expression = NonNullable<Declarator['init']>;
export type Call = Extract<Expression, { type: 'CallExpression' }>;
export type ObjectLiteral = Extract<Expression, { type: 'ObjectExpression' }>;
export type Property = Extract<ObjectLiteral['properties'][number], { type: 'ObjectProperty' }>;
export type Node = Expression | Statement | Declarator | Property;
export type Comment = NonNullable<Node['leadingComments']>[number];

/** @throws SyntaxError with `loc` and a message that names the place. */
export function parseSource(text: string): Tree {
  return parse(text, {
    sourceType: 'module',
    plugins: ['typescript', 'explicitResourceManagement'],
    allowAwaitOutsideFunction: true,
  });
}

export function isNode(value: unknown): value is Node {
  return value instanceof Object && 'type' in value && typeof value.type === 'string';
}

/** Whether a node is an expression of one of the kinds that matter here. */
export function isCall(value: unknown): value is Call {
  return isNode(value) && value.type === 'CallExpression';
}

/** Every node below one, in source order. */
export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const [key, value] of Object.entries(node)) {
    if (key === 'leadingComments' || key === 'trailingComments' || key === 'innerComments')
      continue;
    for (const one of Array.isArray(value) ? value : [value]) if (isNode(one)) walk(one, visit);
  }
}

/** An expression without what only the compiler looks at: parentheses, `as const`, `satisfies T`, `x!`. */
export function bare(node: Expression): Expression {
  switch (node.type) {
    case 'ParenthesizedExpression':
    case 'TSAsExpression':
    case 'TSSatisfiesExpression':
    case 'TSNonNullExpression':
    case 'TSTypeAssertion':
      return bare(node.expression);
    default:
      return node;
  }
}

/** The last name of what is called: `struct` of `struct(…)` and of `uapi.struct(…)`. */
export function calleeName(call: Call): string | undefined {
  const { callee } = call;
  if (callee.type === 'Identifier') return callee.name;
  if (callee.type !== 'MemberExpression' || callee.computed) return undefined;
  return callee.property.type === 'Identifier' ? callee.property.name : undefined;
}

/** The arguments of a call, those that are expressions. */
export function argumentsOf(call: Call): Expression[] {
  const isExpression = (one: Call['arguments'][number]): one is Expression =>
    one.type !== 'SpreadElement' && one.type !== 'ArgumentPlaceholder';
  return call.arguments.filter(isExpression);
}

/** The name that a property has in the source; undefined if it is computed. */
export function keyName({ key, computed }: Property): string | undefined {
  if (key.type === 'Identifier' && !computed) return key.name;
  return key.type === 'StringLiteral' ? key.value : undefined;
}

/** The first and the last line of a node, counted from 1. */
export function lines(node: { loc?: Node['loc'] }): { first: number; last: number } {
  return { first: node.loc?.start.line ?? 1, last: node.loc?.end.line ?? 1 };
}
