import { readFileSync } from 'node:fs';

interface Written {
  snapshot: {
    meta: {
      node_fields: string[];
      node_types: [string[], ...unknown[]];
      edge_fields: string[];
      edge_types: [string[], ...unknown[]];
    };
  };
  nodes: number[];
  edges: number[];
  strings: string[];
}

/** What V8 has written of a heap. A node is a place in its list; see "Heap snapshot" in the documentation of Chrome DevTools. */
export class HeapSnapshot {
  private readonly written: Written;
  private readonly node: Record<'size' | 'type' | 'name' | 'edges', number>;
  private readonly edge: Record<'size' | 'type' | 'name' | 'to', number>;
  /** Where the edges of each node begin. */
  private readonly firstEdge = new Map<number, number>();

  constructor(file: string) {
    this.written = JSON.parse(readFileSync(file, 'utf8')) as Written;
    const { node_fields: node, edge_fields: edge } = this.written.snapshot.meta;
    const [type, name, edges] = ['type', 'name', 'edge_count'].map((field) => node.indexOf(field)) as Three;
    this.node = { size: node.length, type, name, edges };
    const [kind, label, to] = ['type', 'name_or_index', 'to_node'].map((field) =>
      edge.indexOf(field),
    ) as Three;
    this.edge = { size: edge.length, type: kind, name: label, to };
    let next = 0;
    for (let at = 0; at < this.written.nodes.length; at += node.length) {
      this.firstEdge.set(at, next);
      next += this.numberAt(at + edges) * edge.length;
    }
  }

  /** All objects, not what the engine itself keeps. */
  *objects(): Generator<number> {
    const object = this.written.snapshot.meta.node_types[0].indexOf('object');
    for (const at of this.firstEdge.keys()) {
      if (this.numberAt(at + this.node.type) === object) yield at;
    }
  }

  /** Of an object: that of its class. */
  nameOf(node: number): string {
    return this.written.strings[this.numberAt(node + this.node.name)] ?? '';
  }

  /** Where the references of these names lead, one after another; undefined where there is none. */
  follow(node: number, ...names: string[]): number | undefined {
    let at: number | undefined = node;
    for (const name of names) at = at === undefined ? undefined : this.referenced(at, name);
    return at;
  }

  private referenced(node: number, name: string): number | undefined {
    const { edges, strings, snapshot } = this.written;
    const first = this.firstEdge.get(node) ?? 0;
    const end = first + this.numberAt(node + this.node.edges) * this.edge.size;
    for (let at = first; at < end; at += this.edge.size) {
      const type = snapshot.meta.edge_types[0][edges[at + this.edge.type] ?? 0];
      const isNamed = type === 'property' || type === 'internal';
      if (isNamed && strings[edges[at + this.edge.name] ?? -1] === name) return edges[at + this.edge.to];
    }
    return undefined;
  }

  private numberAt(place: number): number {
    return this.written.nodes[place] ?? 0;
  }
}

type Three = [number, number, number];
