//! What an answer is worth: from a whole HTTP answer, or a text from elsewhere, to a checked [`Token`](crate::Token).
