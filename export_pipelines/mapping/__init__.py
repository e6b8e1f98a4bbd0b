"""Mapping files: how a foreign file's columns become the fields of a resource type.

    resource_type: products
    read: {format: csv, encoding: latin-1, delimiter: ";", sanitized: true}
    columns:
      sku: product_id
      name: {column: title, default: Unnamed}
      status: {constant: live}
      description: {text: "{title} ({product_id})"}
      tags: {column: labels, split: "|"}
      weight: {column: weight_kg, number: {decimal_mark: ",", group_mark: ".", multiply: 1000}}
      created_at: {column: made, date: "%d.%m.%Y"}
      is_active: {column: state, boolean: {true: [yes, ja], false: [no, nein]}}
      category: {column: group, values: {cama: bed, mesa: table}, otherwise: keep}
    ignore: [photos, size]

It is YAML in which every value is a text, as it is written: `no` is no, `007` is 007. A value that
is left out, `~` or `null` is nothing. There are no anchors, aliases and tags; no key comes twice.

`resource_type`: the only one that the file may be used for; any without it.
`read`: how the file is read, as the import's options of the same names: `format`, `encoding`,
`delimiter`, `sheet`, `sanitized`.
`columns`: by the field that is filled, the header that fills it, or one of:

`column`: the header, for what goes with it.
`constant`: the same text in every row.
`text`: made of columns, their headers in braces; `{{` and `}}` are braces. An empty cell is an
empty text; blanks at the ends are left out; what is made of nothing but empty cells is empty.
`default`: what stands for an empty cell or an empty text, in the form in which it is imported.

With `column` at most one of these; cells of nothing but blanks are empty, blanks around others do
not count, and a cell that cannot be cast is an error of its row:

`split`: a list, of what stands between two of these texts; empty items are left out.
`number`: `decimal_mark` (`.` by default, or `,`), `group_mark` between thousands (none by default;
a blank stands for no-break spaces too), `multiply` (a number of up to 18 digits). Digits are exact.
`date`: a pattern of %Y %y %m %d %b %B %j %H %I %p %M %S .%f %z and %%. Names of months are English;
%y is 1970 to 2069, %Y 1000 to 9999. With %z it becomes a time in UTC; without, a time of no zone.
`boolean`: the words for `true` and for `false`, at least one; capitals do not count.
`values`: what becomes of each value; nothing makes the cell empty. `otherwise` says what becomes of
others: `keep` them, `empty` the cell, or `refuse` them, as without it.

`ignore`: headers that are left out, `*` for all that are not used. Any other is refused.

A cell that a row says nothing about (JSON objects without the member) stays one; in `text` it is
an empty one.
"""

from export_pipelines.mapping.files import is_path, mapping_path, read_mapping
from export_pipelines.mapping.form import ColumnMapping
from export_pipelines.mapping.rows import map_rows, mapped_headers

__all__ = [
    "ColumnMapping",
    "is_path",
    "map_rows",
    "mapped_headers",
    "mapping_path",
    "read_mapping",
]
