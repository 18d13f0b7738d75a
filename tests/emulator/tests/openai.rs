//! Azure OpenAI: what models answer, what is kept, and what is refused; a file for each.

mod assistants;
mod batches;
mod chats;
mod conversations;
mod files;
mod fine_tuning;
mod images;
mod models;
mod on_demand;
mod refusals;
mod responses;
mod runs;
mod stored_chats;
mod uploads;
mod vector_stores;
mod world;
