//! Lists: `page`, `size`, `order_by`, `search`, and one form of answer.
use crate::answer::Answer;
use crate::call::Call;
use crate::problem::Problem;
use jeton_core::redact;
use serde_json::{Value, json};

/// How many items a page has when nobody says.
const USUAL_SIZE: i64 = 100;
/// How many items a page has at most.
const LARGEST_SIZE: i64 = 500;
/// The largest page number: beyond it nothing can be.
const LAST_PAGE: i64 = 1_000_000_000;
/// The longest text that is searched for, in bytes.
const LONGEST_SEARCH: usize = 256;
/// How many columns a list may be ordered by.
const MOST_ORDERS: usize = 4;

/// What a caller wants of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which page; the first is 1.
    pub page: i64,
    /// How many items on it.
    pub size: i64,
    /// What must be in them.
    pub search: Option<String>,
    /// `ORDER BY …`, made of words from here only.
    pub order: String,
}

impl Wanted {
    /// From the query of a request; the list can be ordered by `columns`, of a table called `t`.
    ///
    /// # Errors
    /// 400, naming the parameter.
    pub fn read(call: &Call, columns: &[&'static str]) -> Result<Self, Problem> {
        call.only_query(&["page", "size", "order_by", "search"])?;
        Ok(Self {
            page: number(call, "page", 1, LAST_PAGE)?,
            size: number(call, "size", USUAL_SIZE, LARGEST_SIZE)?,
            search: search(call)?,
            order: order(call.query("order_by")?.as_deref(), columns)?,
        })
    }

    /// How many items stand before this page.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        (self.page - 1) * self.size
    }

    /// The pattern for `LIKE … ESCAPE '\'`, in lower case.
    #[must_use]
    pub fn like(&self) -> Option<String> {
        self.search.as_deref().map(like)
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self, kind: &str, total: i64, items: &[Value]) -> Answer {
        Answer::ok(&json!({
            "kind": kind,
            "page": self.page,
            "size": items.len(),
            "total": total,
            "items": items,
        }))
    }
}

/// The pattern that finds `text` anywhere, whatever characters it has.
#[must_use]
pub fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

fn number(call: &Call, name: &str, usual: i64, most: i64) -> Result<i64, Problem> {
    let Some(text) = call.query(name)? else {
        return Ok(usual);
    };
    let parsed: Option<i64> = text.parse().ok();
    match parsed {
        Some(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(Problem::invalid(
            name,
            &format!("must be a number from 1 to {most}"),
        )),
    }
}

fn search(call: &Call) -> Result<Option<String>, Problem> {
    let text = call.query("search")?.filter(|text| !text.is_empty());
    match &text {
        Some(text) if text.len() > LONGEST_SEARCH || !redact::is_printable(text) => Err(Problem::invalid(
            "search",
            "must be at most 256 printable characters",
        )),
        _ => Ok(text),
    }
}

fn order(text: Option<&str>, columns: &[&'static str]) -> Result<String, Problem> {
    let mut order = String::from("ORDER BY ");
    let wanted = text
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    for (count, word) in wanted.enumerate() {
        let (name, way) = word.split_once(char::is_whitespace).unwrap_or((word, "asc"));
        let column = columns.iter().find(|column| **column == name);
        let way = match way.trim().to_ascii_lowercase().as_str() {
            "asc" => Some("ASC"),
            "desc" => Some("DESC"),
            _ => None,
        };
        match (column, way) {
            (Some(column), Some(way)) if count < MOST_ORDERS => {
                order.push_str(&format!("t.{column} {way}, "))
            }
            _ => {
                let why = format!(
                    "must be one of {}, with `asc` or `desc` behind it",
                    columns.join(", ")
                );
                return Err(Problem::invalid("order_by", &why));
            }
        }
    }
    // The id last, so that no item is on two pages.
    order.push_str("t.id ASC");
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_made_of_known_words_only() {
        let columns = &["name", "created_at"];
        let rows = [
            (None, Some("ORDER BY t.id ASC")),
            (Some("name"), Some("ORDER BY t.name ASC, t.id ASC")),
            (
                Some("name desc,created_at"),
                Some("ORDER BY t.name DESC, t.created_at ASC, t.id ASC"),
            ),
            (Some("secret"), None),
            (Some("name; DROP TABLE projects"), None),
            (Some("name sideways"), None),
        ];
        for (text, wanted) in rows {
            assert_eq!(order(text, columns).ok().as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(like("50%_a\\B"), "%50\\%\\_a\\\\b%");
    }
}
