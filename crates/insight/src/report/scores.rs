//! A table in a report, with a row for each class or label.

use maud::{Markup, html};

/// A table with the heading of the first column and those of the number columns; a row is a name and its numbers.
pub(super) fn table(
    first: &str,
    numbers: &[&str],
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> Markup {
    html! {
        div class="scroll" {
            table class="numbers" {
                thead {
                    tr {
                        th scope="col" { (first) }
                        @for heading in numbers {
                            th scope="col" class="right" { (heading) }
                        }
                    }
                }
                tbody {
                    @for (name, cells) in rows {
                        tr {
                            th scope="row" { (name) }
                            @for cell in cells {
                                td class="right" { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}
