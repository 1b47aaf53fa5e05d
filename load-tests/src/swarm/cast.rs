//! Who takes part: accounts and rooms, made once over REST and kept in a file, so that repeated measurements do not pay for passwords.

use crate::bot::rest::{Failed, Login, Rest};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};
use uuid::Uuid;

/// Requests under way at the same time.
const AT_ONCE: usize = 32;
/// Below the life of an access token (15 minutes at most, design default 10), so that those of a file this young still work for a while.
const FRESH: Duration = Duration::from_secs(240);

/// The people and rooms of a swarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cast {
    pub people: Vec<Person>,
    pub rooms: Vec<Room>,
}

/// An account with its login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub password: String,
    pub id: Uuid,
    pub login: Login,
}

/// A room and who is in it, by their place among the people. The first made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    pub id: Uuid,
    pub members: Vec<usize>,
}

/// How many people and rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub people: usize,
    pub rooms: usize,
    pub room_size: usize,
}

impl Shape {
    /// The people of room `room`: seats are dealt round the people, so that with as many seats as people everybody has one.
    pub fn members(&self, room: usize) -> Vec<usize> {
        let first = room * self.room_size;
        (first..first + self.room_size.min(self.people)).map(|seat| seat % self.people.max(1)).collect()
    }
}

impl Cast {
    /// Makes the accounts and the rooms.
    pub async fn make(rest: &Rest, shape: Shape) -> Result<Self, Failed> {
        // Names must not meet those of an earlier cast.
        let tag = Uuid::new_v4().simple().to_string().split_off(24);
        let password = format!("swarm-{}", Uuid::new_v4().simple());
        let people = each("accounts", shape.people, |index| {
            let name = format!("bot{index}-{tag}");
            let password = password.clone();
            async move {
                rest.register(&name, &password).await?;
                let login = rest.log_in(&name, &password).await?;
                let id = rest.me(&login.access).await?;
                Ok(Person { name, password, id, login })
            }
        })
        .await?;
        let (people_ref, tag) = (&people, &tag);
        let rooms = each("rooms", shape.rooms, |index| async move {
            let members = shape.members(index);
            let token = |member: usize| people_ref.get(member).map_or("", |person| person.login.access.as_str());
            let id = rest.create_room(token(members.first().copied().unwrap_or(0)), &format!("swarm {tag} {index}")).await?;
            if shape.rooms > 1 {
                for member in members.iter().skip(1) {
                    rest.join(token(*member), id).await?;
                }
            }
            Ok(Room { id, members })
        })
        .await?;
        if let [room] = rooms.as_slice() {
            let members = &room.members;
            each("members", members.len().saturating_sub(1), |index| async move {
                let person = members.get(index + 1).and_then(|member| people_ref.get(*member));
                rest.join(person.map_or("", |person| person.login.access.as_str()), room.id).await
            })
            .await?;
        }
        Ok(Self { people, rooms })
    }

    /// The cast kept in `path`; its tokens are renewed when the file is not fresh.
    pub async fn load(rest: &Rest, path: &Path) -> Result<Self, String> {
        let told = |error: io::Error| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(told)?;
        let mut cast: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let age = fs::metadata(path).and_then(|data| data.modified()).map(|modified| modified.elapsed().unwrap_or_default());
        if age.map_err(told)? > FRESH {
            cast.renew(rest).await.map_err(|failed| failed.to_string())?;
            cast.save(path).map_err(told)?;
        }
        Ok(cast)
    }

    /// Writes the cast to `path`. It holds passwords of test accounts: readable by its owner only.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        serde_json::to_writer(io::BufWriter::new(file), self).map_err(io::Error::from)
    }

    /// The newest message of each room.
    pub async fn newest(&self, rest: &Rest) -> Result<Vec<u64>, Failed> {
        each("room heads", self.rooms.len(), |index| async move {
            let Some((room, token)) = self.reader(index) else { return Ok(0) };
            rest.newest_seq(token, room).await
        })
        .await
    }

    /// A room's id and the access token of one who may read it from the start.
    pub fn reader(&self, room: usize) -> Option<(Uuid, &str)> {
        let room = self.rooms.get(room)?;
        let person = self.people.get(*room.members.first()?)?;
        Some((room.id, &person.login.access))
    }

    /// Logs everybody in again.
    pub async fn renew(&mut self, rest: &Rest) -> Result<(), Failed> {
        let people = &self.people;
        let logins = each("logins", people.len(), |index| async move {
            let Some(person) = people.get(index) else { return Ok(None) };
            match rest.refresh(&person.login).await {
                Ok(login) => Ok(Some(login)),
                Err(_) => rest.log_in(&person.name, &person.password).await.map(Some),
            }
        })
        .await?;
        for (person, login) in self.people.iter_mut().zip(logins.into_iter().flatten()) {
            person.login = login;
        }
        Ok(())
    }
}

/// Does `work` for 0..count, several at once, and says each second how far it is. Results in order.
pub async fn each<T, W, F>(what: &str, count: usize, work: W) -> Result<Vec<T>, Failed>
where
    W: Fn(usize) -> F,
    F: Future<Output = Result<T, Failed>>,
{
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    let mut results: Vec<(usize, T)> = Vec::with_capacity(count);
    let lane = || async {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok::<_, Failed>(done);
            }
            done.push((index, work(index).await?));
        }
    };
    let progress = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            eprintln!(
                "{what}: {} of {count} after {:.0} s",
                next.load(Ordering::Relaxed).min(count),
                begun.elapsed().as_secs_f64()
            );
        }
    };
    let lanes = try_join_all((0..AT_ONCE.min(count)).map(|_| lane()));
    tokio::select! {
        lanes = lanes => lanes?.into_iter().for_each(|lane| results.extend(lane)),
        () = progress => {}
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_dealt_round_the_people() {
        let shape = Shape { people: 8, rooms: 2, room_size: 4 };
        assert_eq!((shape.members(0), shape.members(1)), (vec![0, 1, 2, 3], vec![4, 5, 6, 7]));
        let shape = Shape { people: 3, rooms: 2, room_size: 2 };
        assert_eq!((shape.members(0), shape.members(1)), (vec![0, 1], vec![2, 0]));
    }

    #[test]
    fn nobody_sits_twice_in_a_room() {
        assert_eq!(Shape { people: 2, rooms: 1, room_size: 5 }.members(0), [0, 1]);
    }
}
